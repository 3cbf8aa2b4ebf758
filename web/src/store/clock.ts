// Time in the page: a second's tick for ages, and the refresh that makes views ask anew.
import { computed, effect, signal, untracked } from '@preact/signals';
import { queryOf, setQuery } from '../app/router';

/** Current time in milliseconds since 1970; changes each second while the page is visible. */
export const now = signal(Date.now());

/** Counts refreshes: whatever reads it asks the agent anew when it changes. */
export const refreshes = signal(0);

/** Milliseconds between two refreshes; null while paused. */
export const refreshInterval = computed<number | null>(() => {
  const text = queryOf('refresh');
  if (text === 'off') return null;
  return Math.max(MIN_REFRESH, parseDuration(text ?? '') ?? DEFAULT_REFRESH);
});

const isHidden = signal(document.hidden);

/** True if the page goes on while nobody sees it, for a picture that is recorded or a title that tells of alerts. */
export const isAlwaysLive = computed(() => queryOf('hidden') === 'live');

export function toggleAlwaysLive(): void {
  setQuery({ hidden: isAlwaysLive.value ? null : 'live' });
}

/** True while nobody sees the page: it asks for nothing, and catches up when it is seen again. */
export const isResting = computed(() => isHidden.value && !isAlwaysLive.value);

const MIN_REFRESH = 1_000;

export const DEFAULT_REFRESH = 5_000;

/** Asks anew now, paused or not. */
export function refresh(): void {
  now.value = Date.now();
  refreshes.value += 1;
}

export function togglePause(): void {
  const paused = refreshInterval.value === null;
  setQuery({ refresh: paused ? null : 'off' });
  if (paused) refresh();
}

/** Starts both ticks. */
export function startClock(): void {
  document.addEventListener('visibilitychange', () => (isHidden.value = document.hidden));
  effect(() => {
    if (isResting.value) return;
    now.value = Date.now();
    const timer = setInterval(() => (now.value = Date.now()), 1000);
    return () => clearInterval(timer);
  });
  let rested = false;
  effect(() => {
    const interval = refreshInterval.value;
    rested ||= isResting.value;
    if (interval === null || isResting.value) return;
    if (rested) untracked(refresh);
    rested = false;
    const timer = setInterval(refresh, interval);
    return () => clearInterval(timer);
  });
}

const UNITS: Record<string, number> = {
  ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 31_536_000_000,
};

/** Returns the milliseconds of `90s`, `1h30m`, `2w`; null for any other text. */
export function parseDuration(text: string): number | null {
  if (!/^(\d+(ms|[smhdwy]))+$/.test(text)) return null;
  let sum = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) sum += Number(count) * (UNITS[unit ?? ''] ?? 0);
  return sum;
}

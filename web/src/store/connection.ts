// Whether the agent answers, and since when not.
import { computed, signal } from '@preact/signals';
import { observers } from '../api/client';
import { now } from './clock';

/** Time of the last answer in milliseconds since 1970; 0 before the first. */
export const lastAnswer = signal(0);

/** Time of the first failure since the last answer; null while the agent answers. */
export const disconnectedSince = signal<number | null>(null);

/** Seconds since the last answer; null before the first. */
export const ageSeconds = computed(() =>
  lastAnswer.value === 0 ? null : Math.max(0, Math.round((now.value - lastAnswer.value) / 1000)),
);

export function startConnection(): void {
  observers.add((reached) => {
    if (reached) {
      lastAnswer.value = Date.now();
      disconnectedSince.value = null;
    } else {
      disconnectedSince.value ??= Date.now();
    }
  });
}

// The time range of the page, as `from` and `to` in the query: `now-1h` stays relative, RFC 3339 is absolute.
import { computed } from '@preact/signals';
import { queryOf, setQuery } from '../app/router';
import { now, parseDuration, refreshes } from './clock';

export interface Preset {
  from: string;
  label: string;
}

export const PRESETS: Preset[] = [
  { from: 'now-5m', label: '5 min' },
  { from: 'now-15m', label: '15 min' },
  { from: 'now-1h', label: '1 h' },
  { from: 'now-6h', label: '6 h' },
  { from: 'now-24h', label: '24 h' },
  { from: 'now-3d', label: '3 d' },
  { from: 'now-7d', label: '7 d' },
  { from: 'now-30d', label: '30 d' },
];

const DEFAULT_FROM = 'now-1h';

/** The range as it is written in the address. */
export const rangeText = computed(() => ({ from: queryOf('from') ?? DEFAULT_FROM, to: queryOf('to') ?? 'now' }));

/** True while the range ends now, and so moves on. */
export const isRelative = computed(() => rangeText.value.to === 'now');

/** True while both ends of the range move on, so that each collection moves it. */
export const movesOn = computed(() => isRelative.value && rangeText.value.from.startsWith('now'));

/** Bounds in Unix seconds; they move at each refresh, and not in between. */
export const range = computed<{ start: number; end: number }>(() => {
  void refreshes.value;
  const at = now.peek();
  const end = instant(rangeText.value.to, at) ?? at;
  const start = instant(rangeText.value.from, at) ?? end - 3_600_000;
  return start < end ? { start: start / 1000, end: end / 1000 } : { start: end / 1000 - 3600, end: end / 1000 };
});

/** Shows another range; the one before stays in the browser's history. */
export function setRange(from: string, to = 'now'): void {
  setQuery({ from: from === DEFAULT_FROM && to === 'now' ? null : from, to: to === 'now' ? null : to }, 'push');
}

/** Shows the range between two times in Unix seconds, as after a drag on a graph. */
export function zoomTo(start: number, end: number): void {
  setRange(iso(start), iso(end));
}

let beforeZoom: { from: string; to: string } | undefined;

/** Shows what was selected on a graph, in Unix seconds; null is the range before all zooming. */
export function zoom(selected: { from: number; to: number } | null): void {
  if (isRelative.value) beforeZoom = rangeText.value;
  if (selected) return zoomTo(selected.from, selected.to);
  setRange(beforeZoom?.from ?? DEFAULT_FROM, beforeZoom?.to);
}

/** Shows twice the range around the same middle. */
export function zoomOut(): void {
  const { start, end } = range.value;
  const length = end - start;
  if (isRelative.value) return setRange(`now-${Math.round((length * 2) / 60)}m`);
  zoomTo(start - length / 2, Math.min(end + length / 2, now.value / 1000));
}

/** Moves the range by a part of its length: -0.5 is half of it back. */
export function shift(part: number): void {
  const { start, end } = range.value;
  const by = (end - start) * part;
  if (end + by >= now.value / 1000) return setRange(`now-${Math.round((end - start) / 60)}m`);
  zoomTo(start + by, end + by);
}

/** Returns the step in seconds for about `points` values: 1, 2, 5, 10, 15, 30 s, then minutes and hours. */
export function stepFor(points = 300, { start, end } = range.value): number {
  const least = (end - start) / points;
  return STEPS.find((step) => step >= least) ?? Math.ceil(least / 86_400) * 86_400;
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400];

function instant(text: string, at: number): number | null {
  if (text === 'now') return at;
  if (text.startsWith('now-')) {
    const length = parseDuration(text.slice(4));
    return length === null ? null : at - length;
  }
  const time = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  return Number.isFinite(time) ? time : null;
}

function iso(seconds: number): string {
  return new Date(Math.round(seconds) * 1000).toISOString().replace('.000', '');
}

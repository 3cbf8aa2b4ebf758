// Series on one time axis, as uPlot wants them: `undefined` where a series has no sample of its own, `null` in a gap.

import type { Band, Series } from './model';

export type Column = (number | null | undefined)[];

export interface Aligned {
  times: ArrayLike<number>;
  columns: ArrayLike<number | null | undefined>[];
}

interface Part {
  times: ArrayLike<number>;
  values: ArrayLike<number | null>;
  /** True if its times have distances of their own, and so no gaps. */
  predicted?: boolean;
}

/** Returns the columns of a chart: those of the series, then the low and the high one of each band. */
export function columnsOf(series: Series[], bands: Band[], step?: number): Aligned {
  const edges = bands.flatMap(({ times, low, high }) => [
    { times, values: low, predicted: true },
    { times, values: high, predicted: true },
  ]);
  return align([...series, ...edges], step);
}

/** Joins parts on one axis; a distance of more than one and a half steps is a gap. */
export function align(parts: Part[], step?: number): Aligned {
  const gaps = parts.map(({ times, predicted }) => gapsOf(times, predicted ? undefined : step));
  const [first] = parts;
  if (!first) return { times: [], columns: [] };
  if (gaps.every((list) => list.length === 0) && parts.every(({ times }) => sameTimes(times, first.times)))
    return { times: first.times, columns: parts.map(({ values }) => values) };
  const times = union([...parts.map((part) => part.times), ...gaps.map((list) => list.map(([before]) => before + (step ?? 0) / 2))]);
  const places = new Map(times.map((time, index) => [time, index]));
  return { times, columns: parts.map((part, at) => spread(part, gaps[at] ?? [], places)) };
}

/** Puts the values of a part to their places; all places between the two ends of a gap are null. */
function spread({ times, values }: Part, gaps: [number, number][], places: Map<number, number>): Column {
  const column: Column = new Array(places.size).fill(undefined);
  const placeOf = (time: number) => places.get(time) ?? 0;
  for (const [before, after] of gaps) column.fill(null, placeOf(before) + 1, placeOf(after));
  for (let i = 0; i < times.length; i++) column[placeOf(times[i]!)] = values[i] ?? null;
  return column;
}

/** Returns the last time before and the first time after each gap. */
function gapsOf(times: ArrayLike<number>, step?: number): [number, number][] {
  const gaps: [number, number][] = [];
  if (!step) return gaps;
  for (let i = 1; i < times.length; i++) {
    if (times[i]! - times[i - 1]! > 1.5 * step) gaps.push([times[i - 1]!, times[i]!]);
  }
  return gaps;
}

function union(lists: ArrayLike<number>[]): number[] {
  const all = new Set<number>();
  for (const list of lists) for (let i = 0; i < list.length; i++) all.add(list[i]!);
  return Array.from(Float64Array.from(all).sort());
}

function sameTimes(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * Keeps the lowest and the highest value of each of `pixels` parts of the range, in their order. Fewer samples than that
 * stay as they are.
 */
export function decimate({ times, columns }: Aligned, from: number, to: number, pixels: number): Aligned {
  const [first, last] = [lowerBound(times, from), lowerBound(times, to)];
  if (last - first <= 4 * pixels) return { times, columns };
  const width = (to - from) / pixels;
  const starts = Array.from({ length: pixels + 1 }, (_, i) => lowerBound(times, from + i * width));
  const kept = Array.from({ length: 2 * pixels }, (_, i) => from + (Math.floor(i / 2) + (i % 2 ? 0.75 : 0.25)) * width);
  return { times: kept, columns: columns.map((column) => extremes(column, starts)) };
}

function extremes(column: ArrayLike<number | null | undefined>, starts: number[]): Column {
  const kept: Column = [];
  for (let bucket = 0; bucket + 1 < starts.length; bucket++) {
    let [low, high] = [-1, -1];
    let empty: null | undefined;
    for (let i = starts[bucket]!; i < starts[bucket + 1]!; i++) {
      const value = column[i];
      if (value === null) empty = null;
      if (value === null || value === undefined) continue;
      if (low < 0 || value < column[low]!) low = i;
      if (high < 0 || value > column[high]!) high = i;
    }
    if (low < 0) kept.push(empty, empty);
    else kept.push(column[Math.min(low, high)], column[Math.max(low, high)]);
  }
  return kept;
}

/** Returns the index of the first time at or after `time`. */
export function lowerBound(times: ArrayLike<number>, time: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Returns the running sums of columns, for stacked areas; a gap adds nothing. */
export function stack(columns: ArrayLike<number | null | undefined>[]): Column[] {
  const sums: number[] = [];
  return columns.map((column) =>
    Array.from(column, (value, i) => (value === null || value === undefined ? value : (sums[i] = (sums[i] ?? 0) + value))),
  );
}

/** Figures of a series over its values. */
export interface Stats {
  last: number | null;
  min: number | null;
  mean: number | null;
  max: number | null;
}

export function statsOf({ values }: Series): Stats {
  let [count, sum, min, max] = [0, 0, Infinity, -Infinity];
  let last: number | null = null;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? null;
    if (value === null) continue;
    count++;
    sum += value;
    if (value < min) min = value;
    if (value > max) max = value;
    last = value;
  }
  return count === 0 ? { last, min: null, mean: null, max: null } : { last, min, mean: sum / count, max };
}

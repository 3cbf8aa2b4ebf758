// PromQL over the time range of the page, on a grid of steps. A refresh asks for what is new and keeps the rest; results that
// come after each collection need no request.
import { getJson, withQuery } from '../api/client';
import type { Labels, QueryResult } from '../api/types';
import { sampleValue } from '../components/format';
import type { Collected, LiveSample } from './live';
import type { SeriesData } from './series';

/** Bounds in Unix seconds, both on the grid. */
export interface Grid {
  start: number;
  end: number;
  step: number;
}

/** Returns the grid within a range: its end is the last step that is over. */
export function gridOf({ start, end }: { start: number; end: number }, step: number): Grid {
  return { start: Math.ceil(start / step) * step, end: Math.floor(end / step) * step, step };
}

/** Puts durations in place of `$__rate_interval` and `$__range`: seconds of the range, its step, and between collections. */
export function withDurations(query: string, length: number, step: number, interval: number): string {
  const rate = Math.max(4 * interval, step + interval);
  return query.replaceAll('$__rate_interval', `${Math.round(rate)}s`).replaceAll('$__range', `${Math.max(1, Math.round(length))}s`);
}

/** One query with what is known of its answer. */
export class RangeQuery {
  private known: { query: string; grid: Grid; series: Map<string, SeriesData>; latest: LiveSample[] } | undefined;

  /** Asks for the series on the grid, or for what is new of them. */
  async ask(query: string, grid: Grid, signal?: AbortSignal): Promise<SeriesData[]> {
    const known = this.known;
    const continues =
      known !== undefined && known.query === query && known.grid.step === grid.step && known.grid.start <= grid.start && known.grid.end >= grid.start;
    // The last step is asked again: its lookback may have got a sample since.
    const start = continues ? Math.min(known.grid.end, grid.end) : grid.start;
    const answer = await getJson<QueryResult>(withQuery('api/v1/query_range', { query, start, end: grid.end, step: grid.step }), signal);
    const series = continues ? known.series : new Map<string, SeriesData>();
    dropAfter(series, start - grid.step / 2);
    for (const { metric, values = [] } of answer.result) {
      const one = seriesWith(series, metric);
      for (const [time, text] of values) push(one, time, sampleValue(text));
    }
    const latest = [...series.values()].flatMap(({ labels, times, values }) =>
      times.at(-1) === grid.end ? [{ labels, value: values.at(-1) ?? NaN }] : [],
    );
    this.known = { query, grid, series, latest };
    return this.from(grid.start);
  }

  /** Returns true if nothing lies between what is known and a time. */
  reaches(time: number): boolean {
    const { grid } = this.known ?? {};
    return grid !== undefined && time < grid.end + 2 * grid.step;
  }

  /**
   * Returns the series of the last `length` seconds with a result at their end. A step since the result before has the
   * values of that, as a query finds the samples of the last collection there too.
   */
  append({ time, samples }: Collected, length: number): SeriesData[] {
    const { known } = this;
    if (!known) return [];
    const { series, grid } = known;
    const { start, end } = gridOf({ start: time - length, end: time }, grid.step);
    // The result before, between two steps; and what was asked for by a clock that is ahead of the agent's.
    const last = Math.min(grid.end, end);
    dropAfter(series, last);
    for (let step = last + grid.step; step <= end; step += grid.step) add(series, step, step < time ? known.latest : samples);
    if (time > end) add(series, time, samples);
    this.known = { ...known, grid: { ...grid, start, end }, latest: samples };
    return this.from(start);
  }

  /** Drops what is before `start`. */
  private from(start: number): SeriesData[] {
    const series = this.known?.series ?? new Map<string, SeriesData>();
    for (const [key, { times, values }] of series) {
      const first = times.findIndex((time) => time >= start);
      const count = first < 0 ? times.length : first;
      times.splice(0, count);
      values.splice(0, count);
      if (times.length === 0) series.delete(key);
    }
    return [...series.values()].map((one) => ({ ...one }));
  }
}

function dropAfter(series: Map<string, SeriesData>, end: number): void {
  for (const { times, values } of series.values()) {
    while ((times.at(-1) ?? -Infinity) > end) {
      times.pop();
      values.pop();
    }
  }
}

function add(series: Map<string, SeriesData>, time: number, samples: LiveSample[]): void {
  for (const { labels, value } of samples) push(seriesWith(series, labels), time, value);
}

function seriesWith(series: Map<string, SeriesData>, labels: Labels): SeriesData {
  const key = JSON.stringify(labels);
  const one = series.get(key) ?? { labels, times: [], values: [] };
  series.set(key, one);
  return one;
}

function push({ times, values }: SeriesData, time: number, value: number): void {
  times.push(time);
  values.push(Number.isFinite(value) ? value : null);
}

/** Returns the samples of a query at one time. */
export async function instantQuery(query: string, time: number, signal?: AbortSignal): Promise<LiveSample[]> {
  const { resultType, result } = await getJson<QueryResult>(withQuery('api/v1/query', { query, time }), signal);
  if (resultType === 'scalar' || resultType === 'string') {
    const [, text] = result as unknown as [number, string];
    return [{ labels: {}, value: sampleValue(text) }];
  }
  return result.map(({ metric, value }) => ({ labels: metric, value: sampleValue(value?.[1] ?? 'NaN') }));
}

/** Returns a name for each series: the legend with labels in its braces, or else the labels that differ. */
export function namesOf(all: { labels: Labels }[], legend: string | null | undefined, query: string): string[] {
  if (legend) return all.map(({ labels }) => legend.replace(/\{\{\s*([\w.]+)\s*\}\}/g, (_, name: string) => labels[name] ?? '').trim() || query);
  const names = new Set(all.flatMap(({ labels }) => Object.keys(labels)));
  const differing = [...names].filter((name) => new Set(all.map(({ labels }) => labels[name])).size > 1);
  return all.map(({ labels }) => {
    const pairs = differing.filter((name) => name !== '__name__' && labels[name]).map((name) => `${name}=${labels[name]}`);
    const metric = differing.includes('__name__') || pairs.length === 0 ? labels['__name__'] : undefined;
    return [metric, pairs.join(', ')].filter(Boolean).join(' ') || query;
  });
}

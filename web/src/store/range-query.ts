// PromQL over the time range of the page, on a grid of steps. A refresh asks for what is new and keeps the rest.
import { getJson, withQuery } from '../api/client';
import type { Labels, QueryResult } from '../api/types';
import { sampleValue } from '../components/format';
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

/** Puts durations in place of `$__rate_interval` and `$__range`. `interval` is that of the collections. */
export function withDurations(query: string, { start, end, step }: Grid, interval: number): string {
  const rate = Math.max(4 * interval, step + interval);
  return query.replaceAll('$__rate_interval', `${Math.round(rate)}s`).replaceAll('$__range', `${Math.max(1, Math.round(end - start))}s`);
}

/** One query with what is known of its answer. */
export class RangeQuery {
  private known: { query: string; grid: Grid; series: Map<string, SeriesData> } | undefined;

  /** Returns the series on the grid. */
  async update(query: string, grid: Grid, signal?: AbortSignal): Promise<SeriesData[]> {
    const known = this.known;
    const continues =
      known !== undefined && known.query === query && known.grid.step === grid.step && known.grid.start <= grid.start && known.grid.end >= grid.start;
    if (continues && known.grid.end === grid.end) return this.within(grid);
    // The last step is asked again: its lookback may have got a sample since.
    const start = continues ? Math.min(known.grid.end, grid.end) : grid.start;
    const answer = await getJson<QueryResult>(withQuery('api/v1/query_range', { query, start, end: grid.end, step: grid.step }), signal);
    const series = continues ? known.series : new Map<string, SeriesData>();
    merge(series, answer, start);
    this.known = { query, grid, series };
    return this.within(grid);
  }

  /** Drops what is before the grid. */
  private within({ start, end }: Grid): SeriesData[] {
    const series = this.known?.series ?? new Map<string, SeriesData>();
    for (const [key, { times, values }] of series) {
      const first = times.findIndex((time) => time >= start);
      const count = first < 0 ? times.length : first;
      times.splice(0, count);
      values.splice(0, count);
      while ((times.at(-1) ?? 0) > end) {
        times.pop();
        values.pop();
      }
      if (times.length === 0) series.delete(key);
    }
    return [...series.values()].map((one) => ({ ...one }));
  }
}

function merge(series: Map<string, SeriesData>, { result }: QueryResult, from: number): void {
  for (const { times, values } of series.values()) {
    while ((times.at(-1) ?? -1) >= from) {
      times.pop();
      values.pop();
    }
  }
  for (const { metric, values = [] } of result) {
    const key = JSON.stringify(metric);
    const one = series.get(key) ?? { labels: metric, times: [], values: [] };
    series.set(key, one);
    for (const [time, text] of values) {
      const value = sampleValue(text);
      one.times.push(time);
      one.values.push(Number.isFinite(value) ? value : null);
    }
  }
}

/** A sample of an answer at one time. */
export interface InstantSample {
  labels: Labels;
  value: number;
}

/** Returns the samples of a query at one time. */
export async function instantQuery(query: string, time: number, signal?: AbortSignal): Promise<InstantSample[]> {
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

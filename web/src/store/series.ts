// Series over the range of the page.
import { withQuery } from '../api/client';
import type { Labels, QueryResult } from '../api/types';
import { sampleValue } from '../components/format';
import { range, stepFor } from './range';
import { useResource, type Resource } from './resource';

export interface SeriesData {
  labels: Labels;
  /** Unix seconds. */
  times: number[];
  values: (number | null)[];
}

/** Returns the path of a range query. Its bounds are multiples of the step, so that one window asks for one thing. */
export function rangeQuery(query: string, points: number, window = range.value): string {
  const step = stepFor(points, window);
  const end = Math.floor(window.end / step) * step;
  const start = Math.ceil(window.start / step) * step;
  return withQuery('api/v1/query_range', { query, start, end, step });
}

/** Series of a query over the range of the page; null asks nothing. */
export function useRangeQuery(query: string | null, points = 240, every = 1): Resource<QueryResult> {
  return useResource<QueryResult>(() => (query === null ? null : rangeQuery(query, points)), { every });
}

export function seriesOf(result: QueryResult): SeriesData[] {
  return result.result.map(({ metric, values = [] }) => ({
    labels: metric,
    times: values.map(([time]) => time),
    values: values.map(([, text]) => finite(sampleValue(text))),
  }));
}

/** Returns values at equal distances over the range, null where there is no sample. */
export function onGrid({ times, values }: SeriesData, points: number, window = range.value): (number | null)[] {
  const step = stepFor(points, window);
  const start = Math.ceil(window.start / step) * step;
  const count = Math.max(1, Math.floor((window.end - start) / step) + 1);
  const grid = new Array<number | null>(count).fill(null);
  times.forEach((time, index) => {
    const slot = Math.round((time - start) / step);
    if (slot >= 0 && slot < count) grid[slot] = values[index] ?? null;
  });
  return grid;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

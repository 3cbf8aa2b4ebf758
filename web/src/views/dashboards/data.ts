// Data of widgets: followed while they are seen.
import { type Answers, useSamples, useSeries } from '../../store/follower';
import type { LiveSample } from '../../store/live';
import type { Grid } from '../../store/range-query';
import type { SeriesData } from '../../store/series';
import type { WidgetQuery } from './model';

/** Data of all queries, once all are there, and the first error. */
export interface Answer<T> {
  data: T[] | undefined;
  grid: Grid | undefined;
  error: string | undefined;
}

const POINTS = 300;

/** Returns the series of queries over the time range of the page. */
export function useRangeQueries(queries: WidgetQuery[], seen: boolean, points = POINTS): Answer<SeriesData[]> {
  return allOf(useSeries(textsOf(queries), points, seen));
}

/** Returns the samples of queries at the end of the time range of the page. */
export function useInstantQueries(queries: WidgetQuery[], seen: boolean): Answer<LiveSample[]> {
  return allOf(useSamples(textsOf(queries), POINTS, seen));
}

function textsOf(queries: WidgetQuery[]): string[] {
  return queries.map(({ query }) => query);
}

function allOf<T>({ data, errors, grid }: Answers<T>): Answer<T[]> {
  const complete = data.flatMap((one) => (one ? [one] : []));
  return { data: complete.length === data.length ? complete : undefined, grid, error: errors.find(Boolean) };
}

// Data of widgets: asked for while they are seen, at each refresh.
import { useComputed, useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { ApiError } from '../../api/client';
import { range, stepFor } from '../../store/range';
import { gridOf, instantQuery, type Grid, type InstantSample, RangeQuery, withDurations } from '../../store/range-query';
import type { SeriesData } from '../../store/series';
import { interval } from '../../store/interval';
import { Turns } from '../../store/turns';
import type { WidgetQuery } from './model';

/** Data that stay while others load; those of all queries, or an error. */
export interface Answer<T> {
  data: T[] | undefined;
  grid: Grid | undefined;
  error: string | undefined;
}

const POINTS = 300;

/** Returns the series of queries over the time range of the page. */
export function useRangeQueries(queries: WidgetQuery[], seen: boolean, points = POINTS): Answer<SeriesData[]> {
  const kept = useMemo(() => queries.map(() => new RangeQuery()), [queries.length]);
  return useAnswer(queries, seen, points, (query, grid, at, signal) => kept[at]!.update(query, grid, signal));
}

/** Returns the samples of queries at the end of the time range of the page. */
export function useInstantQueries(queries: WidgetQuery[], seen: boolean): Answer<InstantSample[]> {
  return useAnswer(queries, seen, POINTS, (query, grid, _, signal) => instantQuery(query, grid.end, signal));
}

type Ask<T> = (query: string, grid: Grid, index: number, signal: AbortSignal) => Promise<T>;

function useAnswer<T>(queries: WidgetQuery[], seen: boolean, points: number, ask: Ask<T>): Answer<T> {
  const answer = useSignal<Answer<T>>({ data: undefined, grid: undefined, error: undefined });
  const text = JSON.stringify(queries.map(({ query }) => query));
  const wanted = useSignal({ text, seen });
  useEffect(() => void (wanted.value = { text, seen }), [text, seen]);
  // Only a new step on the grid asks anew, not each refresh.
  const target = useComputed(() => {
    const step = stepFor(points);
    return JSON.stringify({ ...wanted.value, grid: gridOf(range.value, step), interval: interval.value });
  });
  const turns = useMemo(() => new Turns(), []);
  useEffect(() => () => turns.stop(), []);
  useSignalEffect(() => {
    const { text, seen, grid, interval } = JSON.parse(target.value) as { text: string; seen: boolean; grid: Grid; interval: number };
    if (!seen) return turns.stop();
    const list = (JSON.parse(text) as string[]).map((query) => withDurations(query, grid, interval));
    turns.take(`${grid.step} ${text}`, async (signal) => {
      try {
        const data = await Promise.all(list.map((query, at) => ask(query, grid, at, signal)));
        if (!signal.aborted) answer.value = { data, grid, error: undefined };
      } catch (error) {
        if (!signal.aborted) answer.value = { ...answer.peek(), error: error instanceof ApiError ? error.message : String(error) };
      }
    });
  });
  return answer.value;
}

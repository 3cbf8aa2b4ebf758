// Answers of the queries, each by itself: an error of one leaves the others.
import { useComputed, useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { ApiError } from '../../api/client';
import { interval } from '../../store/interval';
import { range, stepFor } from '../../store/range';
import { type Grid, gridOf, RangeQuery, withDurations } from '../../store/range-query';
import type { SeriesData } from '../../store/series';
import { MOST_QUERIES } from './queries';

export interface Results {
  grid: Grid;
  /** Series by query; undefined before its first answer. */
  series: (SeriesData[] | undefined)[];
  errors: (string | undefined)[];
}

const POINTS = 400;
const NOTHING: Results = { grid: { start: 0, end: 0, step: 1 }, series: [], errors: [] };

export function useQueries(texts: string[]): Results {
  const kept = useMemo(() => Array.from({ length: MOST_QUERIES }, () => new RangeQuery()), []);
  const results = useSignal(NOTHING);
  const wanted = useSignal(texts);
  useEffect(() => void (wanted.value = texts), [texts.join('\n\n')]);
  const target = useComputed(() => JSON.stringify({ texts: wanted.value, grid: gridOf(range.value, stepFor(POINTS)) }));
  useSignalEffect(() => {
    const { texts, grid } = JSON.parse(target.value) as { texts: string[]; grid: Grid };
    const controller = new AbortController();
    const asked = texts.map((text, at) => (text.trim() ? ask(kept[at]!, text, grid, controller.signal) : Promise.resolve({ series: [] })));
    void Promise.all(asked).then((answers: { series?: SeriesData[]; error?: string }[]) => {
      if (controller.signal.aborted) return;
      const before = results.peek();
      results.value = {
        grid,
        series: answers.map(({ series }, at) => series ?? before.series[at]),
        errors: answers.map(({ error }) => error),
      };
    });
    return () => controller.abort();
  });
  return results.value;
}

async function ask(query: RangeQuery, text: string, grid: Grid, signal: AbortSignal): Promise<{ series?: SeriesData[]; error?: string }> {
  try {
    return { series: await query.update(withDurations(text, grid, interval.peek()), grid, signal) };
  } catch (error) {
    return { error: error instanceof ApiError ? error.message : String(error) };
  }
}

// Answers of the queries, each by itself: an error of one leaves the others.
import { useComputed, useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { ApiError } from '../../api/client';
import { interval } from '../../store/interval';
import { range, stepFor } from '../../store/range';
import { type Grid, gridOf, RangeQuery, withDurations } from '../../store/range-query';
import type { SeriesData } from '../../store/series';
import { Turns } from '../../store/turns';
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
  const turns = useMemo(() => new Turns(), []);
  useEffect(() => () => turns.stop(), []);
  useSignalEffect(() => {
    const { texts, grid } = JSON.parse(target.value) as { texts: string[]; grid: Grid };
    turns.take(`${grid.step} ${texts.join('\n\n')}`, async (signal) => {
      const asked = texts.map((text, at): Promise<Answer> => (text.trim() ? ask(kept[at]!, text, grid, signal) : Promise.resolve({ series: [] })));
      const answers = await Promise.all(asked);
      const before = results.peek();
      const series = answers.map(({ series }, at) => series ?? before.series[at]);
      if (!signal.aborted) results.value = { grid, series, errors: answers.map(({ error }) => error) };
    });
  });
  return results.value;
}

interface Answer {
  series?: SeriesData[];
  error?: string;
}

async function ask(query: RangeQuery, text: string, grid: Grid, signal: AbortSignal): Promise<Answer> {
  try {
    return { series: await query.update(withDurations(text, grid, interval.peek()), grid, signal) };
  } catch (error) {
    return { error: error instanceof ApiError ? error.message : String(error) };
  }
}

// Answers over the time range of the page that stay up to date: by each collection while the range ends now and the
// agent sends its results, else by a request for each new step of the grid.
import { computed, effect, signal, untracked, type ReadonlySignal, type Signal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { asApiError } from '../api/client';
import { refreshInterval } from './clock';
import { interval } from './interval';
import { follow, type Collected, type LiveSample } from './live';
import { movesOn, range, stepFor } from './range';
import { gridOf, instantQuery, type Grid, RangeQuery, withDurations } from './range-query';
import type { SeriesData } from './series';
import { Turns } from './turns';

/** Answers of queries, each with its error; those of before stay while others load and while an error lasts. */
export interface Answers<T> {
  /** By query; undefined before its first answer. */
  data: (T[] | undefined)[];
  errors: (string | undefined)[];
  /** Bounds of the newest data and their step; the end may be the time of a collection, between two steps. */
  grid: Grid | undefined;
}

/** Series of queries over the range. Nothing is asked while they are not `seen`. */
export function useSeries(queries: string[], points: number, seen = true): Answers<SeriesData> {
  return useAnswers(queries, points, seen, () => new RangeQuery());
}

/** Samples of queries at the end of the range. */
export function useSamples(queries: string[], points: number, seen = true): Answers<LiveSample> {
  return useAnswers(queries, points, seen, () => new SampleSource());
}

/** A kind of answer: how it is asked for, and how the result of a collection continues it. */
interface Source<T> {
  ask(query: string, grid: Grid, signal: AbortSignal): Promise<T[]>;
  /** Returns true if nothing lies between what is known and a collection. */
  reaches(time: number): boolean;
  append(collected: Collected, length: number): T[];
}

class SampleSource implements Source<LiveSample> {
  ask = (query: string, grid: Grid, signal: AbortSignal) => instantQuery(query, grid.end, signal);
  reaches = () => true;
  append = ({ samples }: Collected) => samples;
}

/** The query as it is asked, with the length of the range and its step in seconds. */
interface Target {
  query: string;
  length: number;
  step: number;
}

interface Answer<T> {
  data: T[] | undefined;
  error: string | undefined;
  grid: Grid | undefined;
}

/** Keeps the answer to one query. */
class Follower<T> {
  readonly answer: Signal<Answer<T>>;
  readonly isSeen = signal(false);
  private readonly turns = new Turns();
  /** Request that was made last; none after an error, so that the next refresh asks again. */
  private asked = '';
  /** True once results of the agent continue the answer without a gap. */
  private isContinued = false;

  constructor(
    private readonly query: string,
    private readonly points: number,
    private readonly source: Source<T>,
  ) {
    this.answer = signal({ data: query.trim() ? undefined : [], error: undefined, grid: undefined });
  }

  /** Begins to follow. Returns the function that ends it. */
  start(): () => void {
    const isLive = computed(() => movesOn.value && refreshInterval.value !== null);
    // As a text, so that only another one begins anew, and not each refresh.
    const target = computed(() => {
      const step = stepFor(this.points);
      const length = Math.round(range.value.end - range.value.start);
      return JSON.stringify({ query: withDurations(this.query, length, step, interval.value), length, step });
    });
    const stop = effect(() => {
      if (!this.isSeen.value || !this.query.trim()) return;
      const wanted = JSON.parse(target.value) as Target;
      return isLive.value ? this.followLive(wanted) : effect(() => this.ask(wanted, range.value));
    });
    return () => {
      stop();
      this.turns.stop();
    };
  }

  /** Takes each result of the agent, and asks while there is none. */
  private followLive(target: Target): () => void {
    const { latest, stop } = untracked(() => follow(target.query));
    this.isContinued = false;
    const end = effect(() => {
      const collected = latest.value;
      if (collected) return this.take(collected, target, latest);
      this.isContinued = false;
      this.ask(target, range.value, latest);
    });
    return () => {
      end();
      stop();
    };
  }

  /** Continues the answer, or asks for what is missing before. A result that comes during a request is taken after it. */
  private take(collected: Collected, target: Target, latest: ReadonlySignal<Collected | null>): void {
    const { time } = collected;
    if (this.turns.isBusy) return;
    this.isContinued ||= this.source.reaches(time);
    if (this.isContinued) this.append(collected, target);
    else this.ask(target, { start: time - target.length, end: time }, latest);
  }

  /** Asks for the answer on the grid within `bounds`, once; then takes the newest of `latest`. */
  private ask(target: Target, bounds: { start: number; end: number }, latest?: ReadonlySignal<Collected | null>): void {
    const grid = gridOf(bounds, target.step);
    const { query } = target;
    const request = JSON.stringify([query, grid]);
    if (request === this.asked) return;
    this.asked = request;
    this.turns.take(`${grid.step} ${query}`, async (signal) => {
      try {
        const data = await this.source.ask(query, grid, signal);
        if (signal.aborted) return;
        const collected = latest?.peek();
        if (!collected) return void (this.answer.value = { data, grid, error: undefined });
        this.isContinued = true;
        this.append(collected, target);
      } catch (error) {
        if (signal.aborted) return;
        this.asked = '';
        this.answer.value = { ...this.answer.peek(), error: asApiError(error).message };
      }
    });
  }

  private append(collected: Collected, { length, step }: Target): void {
    const { time } = collected;
    const data = this.source.append(collected, length);
    this.asked = '';
    this.answer.value = { data, grid: { ...gridOf({ start: time - length, end: time }, step), end: time }, error: undefined };
  }
}

function useAnswers<T>(queries: string[], points: number, seen: boolean, source: () => Source<T>): Answers<T> {
  const followers = useMemo(() => queries.map((query) => new Follower(query, points, source())), [JSON.stringify(queries), points]);
  useEffect(() => followers.forEach(({ isSeen }) => (isSeen.value = seen)), [followers, seen]);
  useEffect(() => {
    const ends = followers.map((follower) => follower.start());
    return () => ends.forEach((end) => end());
  }, [followers]);
  const before = useRef<Answers<T>>({ data: [], errors: [], grid: undefined });
  const answers = followers.map(({ answer }) => answer.value);
  const grids = answers.flatMap(({ grid }) => grid ?? []);
  const [newest] = grids.sort((a, b) => b.end - a.end);
  return (before.current = {
    data: answers.map(({ data }, at) => data ?? before.current.data[at]),
    errors: answers.map(({ error }) => error),
    grid: newest ?? before.current.grid,
  });
}

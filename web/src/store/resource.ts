// Data of the agent that a view shows, with the state it is in.
import { effect, signal, untracked, type ReadonlySignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { asApiError, type ApiError, getJson } from '../api/client';
import { refreshes } from './clock';

/**
 * `data` are the newest that arrived, and stay while others load or an error lasts. Before the first answer there are
 * none. `error` is the one of the last request.
 */
export interface Loaded<T> {
  data: T | undefined;
  /** Arrival of `data` in milliseconds since 1970. */
  at: number | undefined;
  loading: boolean;
  error: ApiError | undefined;
}

export interface Resource<T> {
  readonly state: ReadonlySignal<Loaded<T>>;
  /** Asks anew, as after a change. */
  reload(): Promise<void>;
  dispose(): void;
}

const NONE = { data: undefined, at: undefined, loading: false, error: undefined };

/** Last answers by path, so that a view that is opened again has data at once. */
const cache = new Map<string, { data: unknown; at: number }>();
const CACHED_PATHS = 60;

/**
 * Keeps the answer of a path. `path` may read signals: another path is asked at once, the same one at each refresh; null
 * asks nothing. `every` refreshes only each n-th time, and each time while the agent is away.
 */
export function resource<T>(path: () => string | null, { every = 1 } = {}): Resource<T> {
  const state = signal<Loaded<T>>(NONE);
  const wanted = signal<string | null>(null);
  let asked: string | null = null;
  let controller: AbortController | undefined;

  async function load(target: string): Promise<void> {
    if (asked === target && state.peek().loading) return;
    controller?.abort();
    const mine = (controller = new AbortController());
    if (asked !== target) {
      const known = cache.get(target) as { data: T; at: number } | undefined;
      if (known) state.value = { ...known, loading: true, error: undefined };
    }
    asked = target;
    state.value = { ...state.peek(), loading: true };
    try {
      const data = await getJson<T>(target, mine.signal);
      if (mine.signal.aborted) return;
      const at = Date.now();
      remember(target, data, at);
      state.value = { data, at, loading: false, error: undefined };
    } catch (error) {
      if (mine.signal.aborted) return;
      state.value = { ...state.peek(), loading: false, error: asApiError(error) };
    }
  }

  const stopPath = effect(() => void (wanted.value = path()));
  const stopLoad = effect(() => {
    const target = wanted.value;
    const count = refreshes.value;
    untracked(() => {
      if (target === null) state.value = NONE;
      else if (target !== asked || count % every === 0 || state.peek().error?.cause === 'disconnected') void load(target);
    });
  });
  return {
    state,
    reload: async () => {
      const target = wanted.peek();
      if (target !== null) await load(target);
    },
    dispose: () => {
      stopPath();
      stopLoad();
      controller?.abort();
    },
  };
}

/** A resource for the life of a component. `path` may read signals and props. */
export function useResource<T>(path: () => string | null, options?: { every?: number }): Resource<T> {
  const latest = useMemo(() => signal(path), []);
  useEffect(() => void (latest.value = path));
  const kept = useMemo(() => resource<T>(() => latest.value(), options), []);
  useEffect(() => kept.dispose, []);
  return kept;
}

function remember(path: string, data: unknown, at: number): void {
  cache.delete(path);
  cache.set(path, { data, at });
  if (cache.size > CACHED_PATHS) cache.delete(cache.keys().next().value ?? '');
}

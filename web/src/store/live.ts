// The WebSocket of the agent: events that make the page ask anew at once, and results of queries that views follow.
import { batch, computed, effect, signal, type ReadonlySignal, type Signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { BASE, observers } from '../api/client';
import type { Labels } from '../api/types';
import { sampleValue } from '../components/format';
import { isResting, refresh, refreshInterval } from './clock';
import { needsLogin, session } from './session';

export interface LiveSample {
  labels: Labels;
  value: number;
}

/** Result of a query after a collection, at its time in Unix seconds. */
export interface Collected {
  time: number;
  samples: LiveSample[];
}

/** A query that somebody follows. */
export interface Followed {
  /** Newest result; null before the first, without a connection, and if the agent does not take the query. */
  latest: ReadonlySignal<Collected | null>;
  stop(): void;
}

interface Subscription {
  id: string;
  query: string;
  users: number;
  latest: Signal<Collected | null>;
}

/** True while the connection is open. Without it the page polls. */
export const isLive = signal(false);

/** By query, in their order: the first ones are sent, the others wait for a place. */
const subscriptions = new Map<string, Subscription>();
/** Subscriptions that the agent has, by id. */
const sent = new Map<string, Subscription>();
let lastId = 0;
let socket: WebSocket | undefined;
let failures = 0;

/** Subscriptions at once; below `prometheus.live.max_subscriptions` of the agent, which is 128. */
const MOST_SUBSCRIPTIONS = 120;

/** Longest time between two attempts to connect, in milliseconds. */
const MAX_WAIT = 30_000;

/** Code of a close because the session has ended, or the user has other rights. */
const ENDED = 1008;

/** Events that come together make one refresh. */
const QUIET = 150;

/** Keeps one connection while the page does not rest. */
export function startLive(): void {
  effect(() => {
    if (isResting.value || needsLogin.value) disconnect();
    else connect();
  });
  let wasReached = true;
  observers.add((reached) => {
    if (reached && !wasReached && !isLive.peek()) {
      failures = 0;
      connect();
    }
    wasReached = reached;
  });
}

/** Follows a query. All that follow the same one share a subscription, which ends with the last of them. */
export function follow(query: string): Followed {
  const subscription = subscriptions.get(query) ?? { id: String((lastId += 1)), query, users: 0, latest: signal(null) };
  subscription.users += 1;
  subscriptions.set(query, subscription);
  subscribe();
  return { latest: subscription.latest, stop: () => leave(subscription) };
}

/** Newest result of a query for the life of a component; null while there is none. */
export function useLive(query: string): ReadonlySignal<Collected | null> {
  const followed = useMemo(() => signal<Followed | null>(null), []);
  useEffect(() => {
    const mine = (followed.value = follow(query));
    return () => mine.stop();
  }, [query]);
  return useMemo(() => computed(() => followed.value?.latest.value ?? null), []);
}

function leave(subscription: Subscription): void {
  subscription.users -= 1;
  if (subscription.users > 0) return;
  subscriptions.delete(subscription.query);
  if (sent.delete(subscription.id)) send({ type: 'unsubscribe', id: subscription.id });
  subscribe();
}

/** Sends the subscriptions that the agent lacks, as far as there are places. */
function subscribe(): void {
  if (socket?.readyState !== WebSocket.OPEN) return;
  for (const subscription of subscriptions.values()) {
    if (sent.size >= MOST_SUBSCRIPTIONS) return;
    const { id, query } = subscription;
    if (sent.has(id)) continue;
    sent.set(id, subscription);
    send({ type: 'subscribe', id, query });
  }
}

function connect(): void {
  if (isResting.peek() || needsLogin.peek() || (socket && socket.readyState <= WebSocket.OPEN)) return;
  const url = new URL('api/v1/live', BASE);
  url.protocol = url.protocol.replace('http', 'ws');
  const mine = (socket = new WebSocket(url));
  mine.addEventListener('open', () => {
    failures = 0;
    isLive.value = true;
    subscribe();
  });
  mine.addEventListener('message', ({ data }) => mine === socket && receive(String(data)));
  mine.addEventListener('close', ({ code }) => {
    if (mine !== socket) return;
    if (code === ENDED) void session.reload(); // shows the login, or other rights
    if (isLive.peek()) changed(); // finds out at once whether the agent is away
    disconnect();
    failures += 1;
    setTimeout(connect, Math.min(MAX_WAIT, 500 * 2 ** failures) * (0.75 + Math.random() / 2));
  });
}

function disconnect(): void {
  socket?.close();
  socket = undefined;
  isLive.value = false;
  batch(() => sent.forEach(({ latest }) => (latest.value = null)));
  sent.clear();
}

function send(message: object): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

interface Update {
  id: string;
  series?: { labels: Labels; value: number | string }[];
  /** True if there are more series. */
  truncated?: boolean;
}

interface Message {
  type: string;
  id?: string;
  data?: Omit<Update, 'id'> & { subscriptions?: Update[]; timestamp?: number };
}

function receive(text: string): void {
  const { type, id = '', data = {} } = JSON.parse(text) as Message;
  const { subscriptions = [], timestamp = 0 } = data;
  switch (type) {
    case 'subscribed':
      update({ ...data, id }, timestamp);
      break;
    case 'metrics_update':
      batch(() => subscriptions.forEach((one) => update(one, timestamp)));
      break;
    case 'error':
      fail(id);
      break;
    case 'alert_triggered':
    case 'alert_resolved':
    case 'notification':
    case 'reload':
      changed();
      break;
  }
}

function update({ id, series = [], truncated }: Update, time: number): void {
  const subscription = sent.get(id);
  if (!subscription) return;
  if (truncated) return fail(id);
  subscription.latest.value = { time, samples: series.map(({ labels, value }) => ({ labels, value: sampleValue(value) })) };
}

/** Whoever follows a query that fails, or that has too many series, asks for it. */
function fail(id: string): void {
  const subscription = sent.get(id);
  if (subscription) subscription.latest.value = null;
}

let timer: ReturnType<typeof setTimeout> | undefined;

/** Asks anew soon, unless the page is paused or rests; it then catches up by itself. */
function changed(): void {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (refreshInterval.peek() !== null && !isResting.peek()) refresh();
  }, QUIET);
}

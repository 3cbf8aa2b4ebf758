// The WebSocket of the agent: events that make the page ask anew at once, and values that views subscribe to.
import { effect, signal, type ReadonlySignal, type Signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { BASE, observers } from '../api/client';
import type { Labels } from '../api/types';
import { sampleValue } from '../components/format';
import { refresh, refreshInterval } from './clock';
import { needsLogin, session } from './session';

export interface LiveSample {
  labels: Labels;
  value: number;
}

/** True while the connection is open. The page polls in any case, and so works without it. */
export const isLive = signal(false);

const subscriptions = new Map<string, { users: number; samples: Signal<LiveSample[] | null> }>();
let socket: WebSocket | undefined;
let failures = 0;

/** Longest time between two attempts to connect, in milliseconds. */
const MAX_WAIT = 30_000;

/** Code of a close because the session has ended, or the user has other rights. */
const ENDED = 1008;

/** Events that come together make one refresh. */
const QUIET = 150;

export function startLive(): void {
  effect(() => {
    if (!needsLogin.value) connect();
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

/** Newest result of a query for the life of a component; null before the first, or without a connection. */
export function useLive(query: string): ReadonlySignal<LiveSample[] | null> {
  const samples = useMemo(() => (subscriptions.get(query) ?? add(query)).samples, [query]);
  useEffect(() => {
    const entry = subscriptions.get(query) ?? add(query);
    entry.users += 1;
    if (entry.users === 1) send({ type: 'subscribe', id: query, query });
    return () => {
      entry.users -= 1;
      if (entry.users > 0) return;
      subscriptions.delete(query);
      send({ type: 'unsubscribe', id: query });
    };
  }, [query]);
  return samples;
}

function add(query: string) {
  const entry = { users: 0, samples: signal<LiveSample[] | null>(null) };
  subscriptions.set(query, entry);
  return entry;
}

function connect(): void {
  if (needsLogin.peek() || (socket && socket.readyState <= WebSocket.OPEN)) return;
  const url = new URL('api/v1/live', BASE);
  url.protocol = url.protocol.replace('http', 'ws');
  const mine = (socket = new WebSocket(url));
  mine.addEventListener('open', () => {
    failures = 0;
    isLive.value = true;
    for (const query of subscriptions.keys()) send({ type: 'subscribe', id: query, query });
  });
  mine.addEventListener('message', ({ data }) => receive(String(data)));
  mine.addEventListener('close', ({ code }) => {
    if (code === ENDED) void session.reload(); // shows the login, or other rights
    if (isLive.peek()) changed(); // finds out at once whether the agent is away
    isLive.value = false;
    for (const { samples } of subscriptions.values()) samples.value = null;
    failures += 1;
    setTimeout(connect, Math.min(MAX_WAIT, 500 * 2 ** failures) * (0.75 + Math.random() / 2));
  });
}

function send(message: object): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

interface Update {
  id: string;
  series: { labels: Labels; value: number | string }[];
}

function receive(text: string): void {
  const { type, id, data } = JSON.parse(text) as { type: string; id?: string; data?: { series?: Update['series']; subscriptions?: Update[] } };
  switch (type) {
    case 'subscribed':
      if (id !== undefined && data?.series) update({ id, series: data.series });
      break;
    case 'metrics_update':
      data?.subscriptions?.forEach(update);
      break;
    case 'alert_triggered':
    case 'alert_resolved':
    case 'notification':
    case 'reload':
      changed();
      break;
  }
}

function update({ id, series }: Update): void {
  const entry = subscriptions.get(id);
  if (!entry || refreshInterval.peek() === null || document.hidden) return;
  entry.samples.value = series.map(({ labels, value }) => ({ labels, value: sampleValue(value) }));
}

let timer: ReturnType<typeof setTimeout> | undefined;

/** Asks anew soon, unless the page is paused or hidden; it then catches up by itself. */
function changed(): void {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (refreshInterval.peek() !== null && !document.hidden) refresh();
  }, QUIET);
}

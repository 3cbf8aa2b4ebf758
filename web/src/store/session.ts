// The person at the page: name and rights.
import { computed, signal } from '@preact/signals';
import { postJson } from '../api/client';
import type { Session } from '../api/types';
import { refresh } from './clock';
import { resource } from './resource';

/** Session by the agent. One without this endpoint decides at each change. */
export const session = resource<Session>(() => 'api/v1/session', { every: 12 });

/** True if nothing is shown before a login. */
export const needsLogin = computed(() => session.state.value.data?.role === null);

export const mayChange = computed(() => session.state.value.data?.may_change ?? true);

export async function login(user: string, password: string): Promise<void> {
  await postJson('api/v1/login', { user, password });
  await session.reload();
  refresh();
}

export async function logout(): Promise<void> {
  await postJson('api/v1/logout');
  location.reload();
}

const KEY = 'bellwether.author';
const typed = signal(read());

/** Name under which silences and acknowledgements are made: the session's user, else the last one that was typed. */
export const author = computed(() => session.state.value.data?.user ?? typed.value);

export function setAuthor(name: string): void {
  typed.value = name;
  try {
    localStorage.setItem(KEY, name);
  } catch {
    // Without storage the name lasts as long as the page.
  }
}

function read(): string {
  try {
    return localStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

// Dark or light: the address first, then the choice of this browser, then the system.
import { computed, effect, signal } from '@preact/signals';
import { queryOf, setQuery } from '../app/router';

export type Theme = 'dark' | 'light';

const KEY = 'bellwether.theme';
const system = window.matchMedia('(prefers-color-scheme: light)');
const systemTheme = signal<Theme>(system.matches ? 'light' : 'dark');
const stored = signal<string | null>(read());

export const theme = computed<Theme>(() => asTheme(queryOf('theme')) ?? asTheme(stored.value) ?? systemTheme.value);

export function toggleTheme(): void {
  const next = theme.value === 'dark' ? 'light' : 'dark';
  stored.value = next;
  if (queryOf('theme') !== null) setQuery({ theme: next });
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Storage may be switched off; the choice then ends with the page.
  }
}

export function startTheme(): void {
  system.addEventListener('change', () => (systemTheme.value = system.matches ? 'light' : 'dark'));
  effect(() => document.documentElement.setAttribute('data-theme', theme.value));
}

function asTheme(text: string | null): Theme | undefined {
  return text === 'dark' || text === 'light' ? text : undefined;
}

function read(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

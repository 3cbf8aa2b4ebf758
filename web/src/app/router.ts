// The address of the page: path, and state in the query. Every link is relative to the document's base.
import { signal } from '@preact/signals';
import { BASE } from '../api/client';

export interface Route {
  /** Path below the base as in the address, without slashes at its ends: `` for the overview, `rules/100%25`. */
  path: string;
  query: URLSearchParams;
}

/** Keys of the query that belong to the page and not to a view; they stay when the view changes. */
export const SHARED_KEYS = ['from', 'to', 'refresh', 'hidden', 'theme'];

/** Where the page is. Changes with `navigate`, `setQuery` and the browser's history. */
export const route = signal<Route>(current());

/** Opens a path below the base, with a query of its own; shared keys are kept. */
export function navigate(path: string, query: Record<string, string> = {}): void {
  history.pushState(null, '', href(path, query));
  route.value = current();
  window.scrollTo(0, 0);
}

/**
 * Changes keys of the query: null removes one. A filter that is typed replaces the entry of the browser's history;
 * a choice that people may want to go back from, such as a zoom, adds one.
 */
export function setQuery(changes: Record<string, string | null>, mode: 'push' | 'replace' = 'replace'): void {
  const url = new URL(location.href);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === '') url.searchParams.delete(key);
    else url.searchParams.set(key, value);
  }
  if (url.href === location.href) return;
  if (mode === 'push') history.pushState(null, '', url);
  else history.replaceState(history.state, '', url);
  route.value = current();
}

/** Returns one key of the query; reading it in a component or a computed subscribes to it. */
export function queryOf(key: string): string | null {
  return route.value.query.get(key);
}

/** Returns the address of a path, for links. */
export function href(path: string, query: Record<string, string> = {}): string {
  const url = new URL(path, BASE);
  for (const key of SHARED_KEYS) {
    const value = route.value.query.get(key);
    if (value !== null) url.searchParams.set(key, value);
  }
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
  return url.href;
}

/** Follows the browser's history, and turns clicks on links to views into navigation. */
export function startRouter(isView: (path: string) => boolean): void {
  window.addEventListener('popstate', () => (route.value = current()));
  document.addEventListener('click', (event) => {
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    const link = (event.target as Element | null)?.closest?.('a');
    if (!plain || event.defaultPrevented || !link?.href || link.target || link.hasAttribute('download')) return;
    const path = pathOf(new URL(link.href));
    if (path === null || !isView(path)) return;
    event.preventDefault();
    if (link.href !== location.href) history.pushState(null, '', link.href);
    route.value = current();
    window.scrollTo(0, 0);
  });
}

function current(): Route {
  const url = new URL(location.href);
  return { path: pathOf(url) ?? '', query: url.searchParams };
}

function pathOf(url: URL): string | null {
  if (url.origin !== BASE.origin || !url.pathname.startsWith(BASE.pathname)) return null;
  return url.pathname.slice(BASE.pathname.length).replace(/^\/+|\/+$/g, '');
}

// The queries of the view: in the address, and in the history of this browser.
import { computed } from '@preact/signals';
import { queryOf, setQuery } from '../../app/router';

export const MOST_QUERIES = 6;

/** Queries of the address: `q1`, `q2` and so on; at least one, which may be empty. */
export const queries = computed(() => {
  const texts = Array.from({ length: MOST_QUERIES }, (_, at) => queryOf(`q${at + 1}`));
  const last = texts.findLastIndex((text) => text !== null);
  return last < 0 ? [''] : texts.slice(0, last + 1).map((text) => text ?? '');
});

/** Shows other queries; the ones before stay in the browser's history. */
export function setQueries(texts: string[]): void {
  const entries = Array.from({ length: MOST_QUERIES }, (_, at) => [`q${at + 1}`, texts[at] || null] as const);
  setQuery(Object.fromEntries(entries), 'push');
  texts.forEach(remember);
}

const KEY = 'bellwether.queries';
const MOST_REMEMBERED = 50;

/** Queries that were run in this browser, newest first. */
export function remembered(): string[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(list) ? list.filter((one): one is string => typeof one === 'string') : [];
  } catch {
    return [];
  }
}

function remember(text: string): void {
  if (!text.trim()) return;
  try {
    localStorage.setItem(KEY, JSON.stringify([text, ...remembered().filter((one) => one !== text)].slice(0, MOST_REMEMBERED)));
  } catch {
    // Storage may be switched off; then there is no history.
  }
}

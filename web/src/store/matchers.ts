// Label matchers as in Alertmanager: `{alertname="backlog", queue=~"mail|sms"}`. For previews; the agent decides.
import type { Labels } from '../api/types';

export interface Matcher {
  name: string;
  operator: '=' | '!=' | '=~' | '!~';
  value: string;
}

const FORM = /^\s*(?:"((?:\\.|[^"\\])*)"|([\w.:-]+))\s*(=~|!~|!=|=)\s*(?:"((?:\\.|[^"\\])*)"|([^\s,"{}]*))\s*(?:,|$)/;

/** Returns the matchers of a text; null if it is none. */
export function parseMatchers(text: string): Matcher[] | null {
  let rest = text.trim().replace(/^\{([\s\S]*)\}$/, '$1').trim();
  const matchers: Matcher[] = [];
  while (rest !== '') {
    const found = rest.match(FORM);
    if (!found) return null;
    const [all, quotedName, plainName, operator, quoted, plain = ''] = found;
    matchers.push({
      name: quotedName ?? plainName ?? '',
      operator: operator as Matcher['operator'],
      value: quoted === undefined ? plain : unescape(quoted),
    });
    rest = rest.slice(all.length).trim();
  }
  return matchers;
}

export function matches(matchers: Matcher[], labels: Labels): boolean {
  return matchers.every(({ name, operator, value }) => {
    const actual = labels[name] ?? '';
    if (operator === '=') return actual === value;
    if (operator === '!=') return actual !== value;
    const regex = compile(value);
    return regex === null ? false : regex.test(actual) === (operator === '=~');
  });
}

/** Returns matchers for equality with labels: `alertname="backlog", queue="mail"`. */
export function equalTo(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${/^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name)}=${JSON.stringify(value)}`)
    .join(', ');
}

function unescape(text: string): string {
  return text.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
}

function compile(source: string): RegExp | null {
  try {
    return new RegExp(`^(?:${source})$`, 's');
  } catch {
    return null;
  }
}

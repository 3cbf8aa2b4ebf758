// Tokens of the theme for canvases, which do not follow CSS variables by themselves.

import { theme } from '../store/theme';

let cached: { theme: string; tokens: Map<string, string> } = { theme: '', tokens: new Map() };

/** Returns the value of a CSS variable of the theme in effect. */
export function token(name: string): string {
  if (cached.theme !== theme.value) cached = { theme: theme.value, tokens: new Map() };
  const known = cached.tokens.get(name);
  if (known) return known;
  const value = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  if (value) cached.tokens.set(name, value);
  return value || 'gray';
}

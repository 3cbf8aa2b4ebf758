// Colours of series: the eight tokens `series-1` to `series-8`, which colour-blind people can tell apart
// (Okabe and Ito, https://jfly.uni-koeln.de/color/), then dashes.

import { token } from './theme';

const COLORS = 8;
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

const indices = new Map<string, number>();

/** Style of a series' line. */
export interface Style {
  /** Number of the colour, 1 to 8, also of the CSS class `series-N`. */
  color: number;
  dash: number[];
}

/** Returns the styles of the series of one chart. A name keeps its colour until `forgetColors`. */
export function stylesOf(names: string[]): Style[] {
  const taken = new Set<number>();
  const known = names.map((name) => {
    const index = indices.get(name);
    if (index === undefined || taken.has(index)) return undefined;
    taken.add(index);
    return index;
  });
  return names.map((name, at) => styleOf(known[at] ?? free(name, taken)));
}

/** Takes the first index that no other series of the chart has. */
function free(name: string, taken: Set<number>): number {
  let index = 0;
  while (taken.has(index)) index++;
  taken.add(index);
  if (!indices.has(name)) indices.set(name, index);
  return index;
}

function styleOf(index: number): Style {
  return { color: (index % COLORS) + 1, dash: DASHES[Math.floor(index / COLORS) % DASHES.length] ?? [] };
}

/** Forgets which names have which colours; for a page whose series are others. */
export function forgetColors(): void {
  indices.clear();
}

/** Returns the colour with this number in the theme in effect. */
export function colorOf(number: number): string {
  return token(`series-${number}`);
}

/** Returns a colour with an opacity in percent. */
export function translucent(color: string, percent: number): string {
  return `color-mix(in srgb, ${color} ${percent}%, transparent)`;
}

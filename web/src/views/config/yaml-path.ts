// Where a place in a YAML text is, by its indentation. Mappings in braces are not looked into.
import type { Step } from './schema';

export interface Place {
  /** Path of the mapping that a key would be in, or with `value` of the key whose value is typed. */
  path: Step[];
  value: boolean;
  /** Column at which the typed word begins. */
  from: number;
}

/** Returns the place of `column` in the last of `lines`. */
export function placeAt(lines: string[], column: number): Place {
  const line = (lines.at(-1) ?? '').slice(0, column);
  const value = /^(\s*(?:- +)*)([\w.-]+):\s+(\S*)$/.exec(line);
  const indent = /^\s*/.exec(line)![0].length;
  const above = pathAbove(lines.slice(0, -1), indent, line);
  if (value) return { path: [...above, value[2]!], value: true, from: column - value[3]!.length };
  const word = /[\w.-]*$/.exec(line)![0];
  return { path: above, value: false, from: column - word.length };
}

/** Returns the path of the mapping that a line of this indentation is in. */
function pathAbove(lines: string[], indent: number, line: string): Step[] {
  const path: Step[] = [];
  let least = indent;
  // Each dash of the line itself is an entry of a list.
  let entries = (/^\s*((?:- +|-$)*)/.exec(line)?.[1]?.match(/-/g) ?? []).length;
  for (const text of [...lines].reverse()) {
    const parts = /^(\s*)((?:- +)*)(?:([\w.-]+|"[^"]*"):(?:\s|$))?/.exec(text)!;
    const [start, dashes, key] = [parts[1]!.length, parts[2]!, parts[3]];
    if (text.trim() === '' || /^\s*#/.test(text)) continue;
    const keyColumn = start + dashes.length;
    const opens = /:\s*(#.*)?$/.test(text);
    if (dashes && start < least && keyColumn === least && entries === 0) {
      // A sibling key of the first one behind the dash.
      entries = (dashes.match(/-/g) ?? []).length;
      least = start;
      continue;
    }
    const isParent = key !== undefined && opens && (keyColumn < least || (entries > 0 && keyColumn === least && !dashes));
    if (!isParent) continue;
    path.unshift(key.replaceAll('"', ''), ...Array<Step>(entries).fill(null));
    entries = (dashes.match(/-/g) ?? []).length;
    least = start;
  }
  return path;
}

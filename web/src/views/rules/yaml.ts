// The text of one rule in the active configuration.

/** Returns the list item whose `name` or `alert` is that of the rule, without its indentation; null if there is none. */
export function ruleYaml(yaml: string, name: string): string | null {
  const lines = yaml.split('\n');
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const named = new RegExp(`^(\\s*)(- |- \\{|  )\\s*(name|alert): ["']?${escaped}["']?\\s*(,|$)`);
  for (let at = 0; at < lines.length; at += 1) {
    if (!named.test(lines[at] ?? '')) continue;
    const start = startOf(lines, at);
    const item = itemAt(lines, start);
    if (/\b(metric|expr|promql|condition|composite)\b/.test(item)) return item;
  }
  return null;
}

/** Returns the line that begins the list item of a line. */
function startOf(lines: string[], at: number): number {
  const indent = indentOf(lines[at] ?? '');
  for (let line = at; line >= 0; line -= 1) {
    const text = lines[line] ?? '';
    if (text.trimStart().startsWith('- ') && indentOf(text) <= indent) return line;
  }
  return at;
}

function itemAt(lines: string[], start: number): string {
  const indent = indentOf(lines[start] ?? '');
  let end = start + 1;
  while (end < lines.length && (lines[end]?.trim() === '' || indentOf(lines[end] ?? '') > indent)) end += 1;
  return lines
    .slice(start, end)
    .map((line) => line.slice(indent))
    .join('\n')
    .trimEnd();
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

// The text of one rule in the active configuration, and its settings that a form changes.

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

/** A setting of a rule in its text. */
export interface Field {
  name: string;
  value: string;
  line: number;
}

const FIELD = /^(?:- | {2})(condition|threshold|resolve_threshold|duration|consecutive): (.*)$/;
const LEVEL = /^ {4}(info|warning|critical|emergency): (.*)$/;

/** Returns the settings by which a rule fires sooner or later. Those without a value are left out. */
export function fieldsOf(rule: string): Field[] {
  let isThreshold = false;
  return rule.split('\n').flatMap((text, line): Field[] => {
    if (/^(- | {2})\S/.test(text)) isThreshold = /^(- | {2})thresholds:/.test(text);
    const [, name = '', value = ''] = text.match(FIELD) ?? (isThreshold ? text.match(LEVEL) : null) ?? [];
    return name && value !== 'null' ? [{ name, value: value.replace(/^(['"])(.*)\1$/, '$2'), line }] : [];
  });
}

/** Returns the rule with another value of a setting. */
export function withField(rule: string, { name, line }: Field, value: string): string {
  const lines = rule.split('\n');
  const text = name === 'condition' ? `"${value}"` : value;
  lines[line] = `${(lines[line] ?? '').split(': ', 1)[0]}: ${text}`;
  return lines.join('\n');
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

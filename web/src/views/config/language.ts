// YAML of the configuration in the editor: completion and help by the JSON Schema, errors of the agent by line.
import { type Completion, type CompletionContext, snippetCompletion } from '@codemirror/autocomplete';
import { yaml, yamlLanguage } from '@codemirror/lang-yaml';
import { type Diagnostic, linter, lintGutter } from '@codemirror/lint';
import { type Extension, Prec, type Text } from '@codemirror/state';
import { type EditorView, hoverTooltip, keymap, lineNumbers } from '@codemirror/view';
import { descriptionAt, keysAt, type KeyChoice, type Schema, valuesAt } from './schema';
import { placeAt } from './yaml-path';

export interface Problem {
  file: string;
  line: number;
  column: number;
  path: string;
  message: string;
  hint: string | null;
}

const DELAY_MILLISECONDS = 500;

/** Returns the extensions; `check` returns the problems of a text. */
export function configurationLanguage(schema: Schema | undefined, check: (text: string) => Promise<(Problem & { warning: boolean })[]>): Extension {
  return [
    lineNumbers(),
    lintGutter(),
    yaml(),
    Prec.high(keymap.of([{ key: 'Enter', run: newLine }])),
    yamlLanguage.data.of({ autocomplete: (context: CompletionContext) => schema && complete(schema, context) }),
    linter(async (view) => (await check(view.state.doc.toString())).map((problem) => diagnostic(view.state.doc, problem)), { delay: DELAY_MILLISECONDS }),
    schema ? help(schema) : [],
  ];
}

/** A new line is as deep as the one before; below a key without a value, and beside the first key of an entry, deeper. */
function newLine(view: EditorView): boolean {
  const { from, to } = view.state.selection.main;
  const line = view.state.doc.lineAt(from);
  const before = line.text.slice(0, from - line.from);
  const [indent = '', dashes = ''] = /^(\s*)((?:- +)*)/.exec(before)?.slice(1) ?? [];
  const deeper = /^[^#]*:\s*$/.test(before) ? '  ' : '';
  const insert = `\n${indent}${' '.repeat(dashes.length)}${deeper}`;
  view.dispatch({ changes: { from, to, insert }, selection: { anchor: from + insert.length }, scrollIntoView: true, userEvent: 'input' });
  return true;
}

function complete(schema: Schema, context: CompletionContext) {
  const line = context.state.doc.lineAt(context.pos);
  const lines = context.state.doc.sliceString(0, line.to).split('\n');
  const { path, value, from } = placeAt(lines, context.pos - line.from);
  const options = value ? valuesAt(schema, path).map(valueOption) : keysAt(schema, path).map((key) => keyOption(key));
  if (options.length === 0) return null;
  return { from: line.from + from, options, validFor: /^[\w.-]*$/ };
}

function keyOption({ key, description, form, required }: KeyChoice): Completion {
  const behind = { list: '\n  - ${}', section: '\n  ${}', value: ' ${}' }[form];
  const option = { label: key, detail: required ? 'required' : form === 'value' ? '' : form, info: description, type: 'property', boost: required ? 1 : 0 };
  return snippetCompletion(`${key}:${behind}`, option);
}

function valueOption({ value, description }: { value: string; description: string }): Completion {
  return { label: value, type: 'enum', ...(description && { info: description }) };
}

/** Returns a problem as a mark of the editor: from its column to the end of the word. */
export function diagnostic(doc: Text, { line, column, message, hint, warning }: Problem & { warning: boolean }): Diagnostic {
  const { from, to, text } = doc.line(Math.min(Math.max(1, line), doc.lines));
  const start = Math.min(to, from + Math.max(0, column - 1));
  const word = /^[^\s:,]*/.exec(text.slice(start - from))?.[0].length ?? 0;
  return { from: start, to: Math.min(to, start + Math.max(1, word)), severity: warning ? 'warning' : 'error', message: hint ? `${message}\n${hint}` : message };
}

function help(schema: Schema): Extension {
  return hoverTooltip((view, at) => {
    const line = view.state.doc.lineAt(at);
    const key = /^\s*(?:- +)*([\w.-]+):/.exec(line.text);
    const start = key ? line.from + key[0].length - key[1]!.length - 1 : 0;
    if (!key || at < start || at > start + key[1]!.length) return null;
    const lines = view.state.doc.sliceString(0, line.to).split('\n');
    const { path } = placeAt(lines, start - line.from);
    const text = descriptionAt(schema, [...path, key[1]!]);
    if (!text) return null;
    return {
      pos: start,
      end: start + key[1]!.length,
      above: true,
      create: () => {
        const dom = document.createElement('div');
        dom.textContent = text;
        return { dom };
      },
    };
  });
}

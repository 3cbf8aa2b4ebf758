// Text editor of CodeMirror, for views that load it. It lives in a shadow root: its style sheets are constructed there,
// which the content security policy allows, and not written into the document.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { lintKeymap } from '@codemirror/lint';
import { Compartment, EditorState, type Extension, Prec } from '@codemirror/state';
import { drawSelection, EditorView, highlightSpecialChars, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'preact/hooks';

interface Props {
  /** Text at first, and whenever it changes; what is typed meanwhile is only told to `onChange`. */
  value: string;
  label: string;
  onChange: (value: string) => void;
  /** Enter, or with `lines` Ctrl and Enter. */
  onSubmit?: () => void;
  /** Several lines with numbers, as of a file. */
  lines?: boolean;
  readOnly?: boolean;
  hint?: string;
  /** Language, completion, lint. */
  extensions: Extension;
  /** Gets the editor, and null at its end. */
  onView?: (view: EditorView | null) => void;
}

export default function CodeEditor(props: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef(props);
  latest.current = props;
  useEffect(() => {
    const root = host.current!.shadowRoot ?? host.current!.attachShadow({ mode: 'open' });
    const made = new EditorView({ root, parent: root, state: EditorState.create({ doc: props.value, extensions: extensionsOf(latest) }) });
    view.current = made;
    props.onView?.(made);
    return () => {
      latest.current.onView?.(null);
      made.destroy();
    };
  }, []);
  useEffect(() => {
    const editor = view.current;
    const before = editor?.state.doc.toString();
    if (editor && before !== props.value) editor.dispatch({ changes: { from: 0, to: before!.length, insert: props.value } });
  }, [props.value]);
  useEffect(() => view.current?.dispatch({ effects: language.reconfigure(props.extensions) }), [props.extensions]);
  return <div ref={host} class={`code-editor ${props.lines ? 'lines' : ''}`} />;
}

const language = new Compartment();

function extensionsOf(latest: { current: Props }): Extension {
  const { label, lines = false, readOnly = false, hint = '', extensions } = latest.current;
  const submit = () => {
    latest.current.onSubmit?.();
    return true;
  };
  return [
    highlightSpecialChars(),
    history(),
    drawSelection(),
    bracketMatching(),
    closeBrackets(),
    autocompletion({ activateOnTyping: true }),
    syntaxHighlighting(COLORS),
    LOOKS,
    placeholder(hint),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({ 'aria-label': label, tabindex: '0', spellcheck: 'false', autocapitalize: 'off' }),
    EditorState.readOnly.of(readOnly),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) latest.current.onChange(update.state.doc.toString());
    }),
    Prec.high(keymap.of(lines ? [{ key: 'Mod-Enter', run: submit }] : [{ key: 'Enter', run: submit, shift: () => false }])),
    keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...lintKeymap, ...defaultKeymap]),
    language.of(extensions),
  ];
}

const COLORS = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: 'var(--series-7)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--series-3)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--series-2)' },
  { tag: [tags.function(tags.variableName), tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--accent)' },
  { tag: [tags.labelName], color: 'var(--series-4)' },
  { tag: [tags.comment], color: 'var(--muted)', fontStyle: 'italic' },
  { tag: [tags.invalid], color: 'var(--critical)' },
]);

/** Marks of problems; CodeMirror's own are `data:` images, which the policy of the page blocks. */
const marks = (severity: string, color: string) => ({
  [`.cm-lintRange-${severity}`]: { backgroundImage: 'none', textDecoration: `underline wavy ${color}` },
  [`.cm-lint-marker-${severity}`]: { content: 'normal', width: '0.7em', height: '0.7em', margin: '0.35em 0', borderRadius: '50%', background: color },
});

const LOOKS = EditorView.theme({
  ...marks('error', 'var(--critical)'),
  ...marks('warning', 'var(--warning)'),
  ...marks('info', 'var(--info)'),
  ...marks('hint', 'var(--muted)'),
  '&': { color: 'var(--text)', fontSize: '13px', height: '100%' },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-1px', borderRadius: 'var(--radius)' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.5', overflow: 'auto' },
  '.cm-content': { caretColor: 'var(--text)', padding: '6px 0' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-placeholder': { color: 'var(--muted)' },
  '.cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground': { background: 'color-mix(in srgb, var(--accent) 30%, transparent)' },
  '.cm-gutters': { background: 'transparent', color: 'var(--muted)', borderRight: '1px solid var(--line)' },
  '.cm-activeLine, .cm-activeLineGutter': { background: 'color-mix(in srgb, var(--accent) 8%, transparent)' },
  '.cm-matchingBracket': { background: 'color-mix(in srgb, var(--ok) 30%, transparent)' },
  '.cm-tooltip': { background: 'var(--surface)', color: 'var(--text)', border: '1px solid var(--line-strong)', borderRadius: 'var(--radius)', maxWidth: 'min(520px, 90vw)' },
  '.cm-tooltip-hover': { padding: '6px 8px', font: '12px/1.45 var(--font)' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', maxHeight: '240px' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { background: 'var(--accent)', color: 'var(--on-accent)' },
  '.cm-completionDetail': { color: 'inherit', opacity: '0.7' },
  '.cm-completionInfo': { padding: '6px 8px', font: '12px/1.45 var(--font)', whiteSpace: 'pre-line' },
  '.cm-diagnostic': { padding: '4px 8px', font: '12px/1.45 var(--font)', whiteSpace: 'pre-line' },
});

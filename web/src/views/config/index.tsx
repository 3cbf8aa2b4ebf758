// Configuration: the files in effect, an editor with errors as one types, what a change does, and apply where it is allowed.
import { unifiedMergeView } from '@codemirror/merge';
import type { EditorView } from '@codemirror/view';
import { useMemo, useRef, useState } from 'preact/hooks';
import { queryOf, setQuery } from '../../app/router';
import { asApiError, postJson } from '../../api/client';
import CodeEditor from '../../components/CodeEditor';
import { Icon } from '../../components/Icon';
import { Loadable } from '../../components/Loadable';
import { useResource } from '../../store/resource';
import { attempt } from '../../store/toast';
import { Changes, type ChangesData } from './Changes';
import { configurationLanguage, type Problem } from './language';
import { Problems } from './Problems';
import type { Schema } from './schema';

export interface File {
  path: string;
  kind: string;
  text: string | null;
  error: string | null;
  checksum: string;
}

interface Files {
  files: File[];
  mayEdit: boolean;
}

interface Report {
  problems: Problem[];
  warnings: Problem[];
  changes: ChangesData | null;
}

const ONCE = { every: 1_000_000 };

export default function Configuration() {
  const files = useResource<Files>(() => 'api/v1/config/files', ONCE);
  const { error } = files.state.value;
  // Who may not read the files still sees the settings in effect.
  if (error && (error.cause === 'missing' || error.cause === 'forbidden')) return <InEffect reason={error.cause === 'forbidden' ? error.message : 'this agent does not serve them.'} />;
  return <Loadable resource={files}>{(data) => <Editor key={data.files.map(({ checksum }) => checksum).join()} {...data} reload={files.reload} />}</Loadable>;
}

function InEffect({ reason }: { reason: string }) {
  const config = useResource<{ yaml: string }>(() => 'api/v1/status/config', ONCE);
  const extensions = useMemo(() => configurationLanguage(undefined, () => Promise.resolve([])), []);
  return (
    <>
      <h1>Configuration in effect</h1>
      <p class="muted">Defaults are filled in, secrets are left out. The files are not shown: {reason}</p>
      <Loadable resource={config}>
        {({ yaml }) => (
          <div class="config-text">
            <CodeEditor label="Configuration in effect" value={yaml} onChange={() => undefined} lines readOnly extensions={extensions} />
          </div>
        )}
      </Loadable>
    </>
  );
}

function Editor({ files, mayEdit, reload }: Files & { reload: () => Promise<void> }) {
  const schema = useResource<Schema>(() => 'api/v1/config/schema', ONCE).state.value.data;
  const shown = files.find(({ path }) => path === queryOf('file')) ?? files[0];
  const [texts, setTexts] = useState<Record<string, string>>({});
  const [report, setReport] = useState<Report>({ problems: [], warnings: [], changes: null });
  const [failure, setFailure] = useState<string>();
  const [difference, setDifference] = useState(false);
  const latest = useRef(texts);
  latest.current = texts;
  const view = useRef<EditorView | null>(null);
  const path = shown?.path ?? '';

  const check = async (text: string) => {
    const changed = { ...latest.current, [path]: text };
    try {
      const next = await postJson<Report>('api/v1/config/check', { files: changed });
      setReport(next);
      setFailure(undefined);
      const here = (problems: Problem[], warning: boolean) => problems.filter(({ file }) => file === path || file === '').map((one) => ({ ...one, warning }));
      return [...here(next.problems, false), ...here(next.warnings, true)];
    } catch (error) {
      setFailure(asApiError(error).message);
      return [];
    }
  };
  const original = shown?.text ?? '';
  const opened = useMemo(() => latest.current[path] ?? original, [path, original]);
  const extensions = useMemo(
    () => [configurationLanguage(schema, check), difference ? unifiedMergeView({ original, mergeControls: false }) : []],
    [schema, path, difference],
  );
  const changed = files.filter(({ path, text }) => texts[path] !== undefined && texts[path] !== text);
  const discard = () => {
    setTexts({});
    view.current?.dispatch({ changes: { from: 0, to: view.current.state.doc.length, insert: original } });
  };
  const apply = async () => {
    const body = {
      files: Object.fromEntries(changed.map(({ path }) => [path, texts[path]])),
      checksums: Object.fromEntries(changed.map(({ path, checksum }) => [path, checksum])),
    };
    if (await attempt('Applied and reloaded', () => postJson('api/v1/config/apply', body))) await reload();
  };
  const go = (problem: Problem) => {
    if (problem.file && problem.file !== path && files.some((file) => file.path === problem.file)) return setQuery({ file: problem.file }, 'push');
    const editor = view.current;
    if (!editor) return;
    const line = editor.state.doc.line(Math.min(Math.max(1, problem.line), editor.state.doc.lines));
    editor.dispatch({ selection: { anchor: Math.min(line.to, line.from + Math.max(0, problem.column - 1)) }, scrollIntoView: true });
    editor.focus();
  };
  return (
    <div class="config">
      <header class="dashboard-bar">
        <h1>Configuration</h1>
        <div class="actions">
          <button type="button" aria-pressed={difference} onClick={() => setDifference(!difference)}>
            Difference
          </button>
          {changed.length > 0 && (
            <button type="button" onClick={discard}>
              Discard changes
            </button>
          )}
          {mayEdit ? (
            <button type="button" class="primary" disabled={changed.length === 0 || report.problems.length > 0} onClick={() => void apply()}>
              Apply
            </button>
          ) : (
            <span class="muted" title="Set web.allow_edit: true in the configuration, on the host">
              <Icon name="info" size={14} /> Nothing is written: web.allow_edit is off
            </span>
          )}
        </div>
      </header>
      {files.length > 1 && (
        <div class="tabs" role="tablist" aria-label="Files">
          {files.map((file) => (
            <button key={file.path} type="button" role="tab" aria-selected={file.path === path} title={`${file.path} (${file.kind})`} onClick={() => setQuery({ file: file.path }, 'push')}>
              {file.path.split('/').at(-1)}
              {changed.includes(file) && ' •'}
            </button>
          ))}
        </div>
      )}
      <div class="config-columns">
        <div class="config-text">
          {shown?.text === null || !shown ? (
            <p class="note">{shown?.error ?? 'There is no file: the embedded configuration is in effect.'}</p>
          ) : (
            <CodeEditor
              key={path}
              label={`File ${path}`}
              value={opened}
              lines
              onChange={(text) => setTexts({ ...latest.current, [path]: text })}
              onView={(next) => (view.current = next)}
              extensions={extensions}
            />
          )}
        </div>
        <div class="config-check">
          {failure && <p class="query-error">{failure}</p>}
          <Problems problems={report.problems} warnings={report.warnings} shown={path} go={go} />
          <Changes changes={report.changes} changed={changed.length > 0} />
        </div>
      </div>
    </div>
  );
}

// Explore: PromQL with completion, a graph and a table, and the metrics there are.
import type { EditorView } from '@codemirror/view';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { queryOf, setQuery } from '../../app/router';
import CodeEditor from '../../components/CodeEditor';
import { Icon } from '../../components/Icon';
import { Menu } from '../../components/Menu';
import { useSeries } from '../../store/follower';
import { attempt } from '../../store/toast';
import { MetricBrowser } from './MetricBrowser';
import { promqlExtensions } from './promql';
import { MOST_QUERIES, queries, remembered, setQueries } from './queries';
import { QueryError } from './QueryError';
import { Graph } from './Graph';
import { MakeRule } from './MakeRule';
import { Table } from './Table';

const POINTS = 400;

export default function Explore() {
  const shown = queries.value;
  const [drafts, setDrafts] = useState(shown);
  const [dialog, setDialog] = useState<'rule' | null>(null);
  useEffect(() => setDrafts(queries.value), [shown.join('\n\n')]);
  const extensions = useMemo(promqlExtensions, []);
  const results = useSeries(shown, POINTS);
  const isLoading = shown.some((text) => text.trim()) && results.grid === undefined && !results.errors.some(Boolean);
  const table = queryOf('tab') === 'table';
  const drawer = queryOf('metrics') !== null;
  const run = () => setQueries(drafts);
  const change = (at: number, text: string) => setDrafts((all) => all.map((one, index) => (index === at ? text : one)));
  const editors = useRef<(EditorView | null)[]>([]);
  const insert = (text: string) => {
    const editor = editors.current.find((one) => one?.hasFocus) ?? editors.current[drafts.length - 1];
    editor?.dispatch(editor.state.replaceSelection(text));
    editor?.focus();
  };
  return (
    <div class={`explore ${drawer ? 'with-drawer' : ''}`}>
      <div class="explore-main">
        <h1 class="visually-hidden">Explore</h1>
        {drafts.map((_, at) => (
          <div key={at} class="query">
            <div class="query-line">
              <CodeEditor
                label={`Query ${at + 1}`}
                value={shown[at] ?? ''}
                onView={(view) => (editors.current[at] = view)}
                onChange={(text) => change(at, text)}
                onSubmit={run}
                extensions={extensions}
                hint="PromQL, such as rate(http_requests_total[5m])"
              />
              {drafts.length > 1 && (
                <button type="button" class="plain" aria-label={`Remove query ${at + 1}`} onClick={() => setQueries(drafts.filter((_, index) => index !== at))}>
                  <Icon name="close" />
                </button>
              )}
            </div>
            <QueryError text={shown[at] ?? ''} error={results.errors[at]} />
          </div>
        ))}
        <div class="actions">
          <button type="button" class="primary" onClick={run}>
            Run
          </button>
          <button type="button" onClick={() => setDrafts([...drafts, ''])} disabled={drafts.length >= MOST_QUERIES}>
            <Icon name="add" /> Query
          </button>
          <Menu name="Query history" class="left" label={<><Icon name="clock" /> History</>}>
            {(close) => <History choose={(text) => (setQueries([...shown.slice(0, -1), text]), close())} />}
          </Menu>
          <button type="button" aria-pressed={drawer} onClick={() => setQuery({ metrics: drawer ? null : 'open' })}>
            <Icon name="metrics" /> Metrics
          </button>
          <span class="space" />
          <button type="button" onClick={() => attempt('Link copied', () => navigator.clipboard.writeText(location.href))}>
            <Icon name="share" /> Share
          </button>
          <button type="button" disabled={!shown.some((text) => text.trim())} onClick={() => setDialog('rule')}>
            <Icon name="rules" /> Make this a rule
          </button>
        </div>
        <div class="tabs" role="tablist" aria-label="Result">
          {(['graph', 'table'] as const).map((tab) => (
            <button key={tab} type="button" role="tab" aria-selected={table === (tab === 'table')} onClick={() => setQuery({ tab: tab === 'table' ? tab : null })}>
              {tab === 'table' ? 'Table' : 'Graph'}
            </button>
          ))}
        </div>
        {isLoading ? <div class="placeholder" role="status" aria-label="Loading" /> : table ? <Table queries={shown} results={results} /> : <Graph queries={shown} results={results} />}
      </div>
      {drawer && <MetricBrowser choose={insert} close={() => setQuery({ metrics: null })} />}
      {dialog === 'rule' && <MakeRule query={shown.find((text) => text.trim()) ?? ''} close={() => setDialog(null)} />}
    </div>
  );
}

function History({ choose }: { choose: (text: string) => void }) {
  const all = remembered();
  if (all.length === 0) return <p class="muted">Queries that you run are kept here, in this browser.</p>;
  return (
    <ul class="query-history">
      {all.map((text) => (
        <li key={text}>
          <button type="button" class="plain" title={text} onClick={() => choose(text)}>
            <code>{text}</code>
          </button>
        </li>
      ))}
    </ul>
  );
}

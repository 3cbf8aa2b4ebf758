// Dashboards: one of them, to look at or to edit.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { href, queryOf, setQuery } from '../../app/router';
import { sendJson } from '../../api/client';
import { forgetColors } from '../../charts';
import { Icon } from '../../components/Icon';
import { Loadable, Note } from '../../components/Loadable';
import { useResource } from '../../store/resource';
import { attempt } from '../../store/toast';
import type { ViewProps } from '..';
import { Export } from './Export';
import { Grid } from './Grid';
import { History } from './History';
import { below, type Dashboard, type Draft, type Item, layoutOf, type Widget } from './model';
import { WidgetCard } from './WidgetCard';
import { WidgetEditor } from './WidgetEditor';

interface List {
  dashboards: { name: string; title: string; changed: boolean }[];
}

export default function Dashboards({ rest }: ViewProps) {
  const list = useResource<List>(() => 'api/v1/dashboards', { every: 12 });
  const first = list.state.value.data?.dashboards[0]?.name;
  const name = rest || first;
  return (
    <Loadable resource={list} empty={({ dashboards }) => (dashboards.length === 0 ? 'No dashboards. They are in the section dashboards of the configuration.' : null)}>
      {({ dashboards }) => (
        <>
          {dashboards.length > 1 && (
            <nav class="tabs" aria-label="Dashboards">
              {dashboards.map((one) => (
                <a key={one.name} href={href(`dashboards/${one.name}`)} aria-current={one.name === name ? 'page' : undefined}>
                  {one.title}
                </a>
              ))}
            </nav>
          )}
          {name && <One key={name} name={name} />}
        </>
      )}
    </Loadable>
  );
}

function One({ name }: { name: string }) {
  const path = `api/v1/dashboards/${encodeURIComponent(name)}`;
  const loaded = useResource<Dashboard>(() => path, { every: 12 });
  const [draft, setDraft] = useState<Draft | null>(null);
  useEffect(() => forgetColors(), []);
  const dashboard = loaded.state.value.data;
  const panel = dashboard?.items.find((item) => item.id === queryOf('panel') && item.widget) as (Item & { widget: Widget }) | undefined;
  useEffect(() => {
    if (!panel) return;
    const key = (event: KeyboardEvent) => event.key === 'Escape' && !event.defaultPrevented && setQuery({ panel: null }, 'push');
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, [panel?.id]);
  const finish = async (done: string, action: () => Promise<unknown>) => {
    if (!(await attempt(done, action))) return;
    await loaded.reload();
    setDraft(null);
  };
  return (
    <Loadable resource={loaded}>
      {(dashboard) => (
        <>
          <Toolbar
            dashboard={dashboard}
            draft={draft}
            setDraft={setDraft}
            save={(draft) => finish('Saved for everybody', () => sendJson('PUT', `${path}/layout`, layoutOf(draft)))}
            reset={() => finish('As configured', () => sendJson('DELETE', `${path}/layout`))}
            restore={(layout) => finish('Restored', () => (layout ? sendJson('PUT', `${path}/layout`, layout) : sendJson('DELETE', `${path}/layout`)))}
          />
          {panel && !draft ? (
            <div class="panel-large">
              <WidgetCard item={panel} large />
            </div>
          ) : draft ? (
            <Editing draft={draft} setDraft={setDraft} />
          ) : dashboard.items.length === 0 ? (
            <Note icon="dashboards">No widgets. Press Edit to add one.</Note>
          ) : (
            <Grid items={dashboard.items} />
          )}
        </>
      )}
    </Loadable>
  );
}

interface ToolbarProps {
  dashboard: Dashboard;
  draft: Draft | null;
  setDraft: (draft: Draft | null) => void;
  save: (draft: Draft) => void;
  reset: () => void;
  restore: (layout: object | null) => void;
}

const NEW_WIDGET: Widget = {
  type: 'line',
  description: null,
  queries: [],
  unit: 'none',
  min: null,
  max: null,
  thresholds: [],
  ownThresholds: null,
  words: {},
  overlays: [],
  text: null,
};

function Toolbar({ dashboard, draft, setDraft, save, reset, restore }: ToolbarProps) {
  const [dialog, setDialog] = useState<'export' | 'history' | null>(null);
  const add = (item: Pick<Item, 'title' | 'widget'>, size: { w: number; h: number }) => {
    if (!draft) return;
    const id = `new-${Date.now().toString(36)}-${draft.items.length}`;
    setDraft({ ...draft, items: [...draft.items, { ...item, id, custom: true, place: below(draft.items, size) }] });
    requestAnimationFrame(() => document.querySelector(`[gs-id="${id}"]`)?.scrollIntoView({ block: 'nearest' }));
  };
  return (
    <header class="dashboard-bar">
      <h1>{dashboard.title}</h1>
      {draft ? (
        <div class="actions">
          <button type="button" onClick={() => add({ title: 'New widget', widget: NEW_WIDGET }, { w: 8, h: 8 })}>
            <Icon name="add" /> Widget
          </button>
          <button type="button" onClick={() => add({ title: 'New row' }, { w: 24, h: 1 })}>
            <Icon name="add" /> Row
          </button>
          <button type="button" class="primary" onClick={() => save(draft)}>
            Save
          </button>
          <button type="button" onClick={() => setDraft(null)}>
            Cancel
          </button>
        </div>
      ) : (
        <div class="actions">
          <button type="button" onClick={() => setDraft({ items: dashboard.items, removed: dashboard.removed })}>
            <Icon name="edit" /> Edit
          </button>
          {dashboard.changed && (
            <button type="button" onClick={reset} title="Show it as configured; History keeps this layout">
              Reset
            </button>
          )}
          <button type="button" onClick={() => setDialog('history')}>
            <Icon name="clock" /> History
          </button>
          <button type="button" onClick={() => setDialog('export')}>
            <Icon name="share" /> Export
          </button>
        </div>
      )}
      {dialog === 'export' && <Export name={dashboard.name} close={() => setDialog(null)} />}
      {dialog === 'history' && (
        <History
          name={dashboard.name}
          close={() => setDialog(null)}
          restore={(layout) => {
            setDialog(null);
            restore(layout);
          }}
        />
      )}
    </header>
  );
}

type EditableGridType = ComponentType<{ draft: Draft; change: (draft: Draft) => void; edit: (item: Item) => void }>;

/** The editor of layouts is a chunk of its own. */
function Editing({ draft, setDraft }: { draft: Draft; setDraft: (draft: Draft) => void }) {
  const [Editor, setEditor] = useState<{ component: EditableGridType }>();
  const [edited, setEdited] = useState<Item | null>(null);
  useEffect(() => void import('./EditableGrid').then((module) => setEditor({ component: module.default })), []);
  const apply = (item: Item) => {
    setDraft({ ...draft, items: draft.items.map((one) => (one.id === item.id ? item : one)) });
    setEdited(null);
  };
  if (!Editor) return <div class="placeholder" role="status" aria-label="Loading" />;
  return (
    <>
      <Editor.component draft={draft} change={setDraft} edit={setEdited} />
      {edited && <WidgetEditor key={edited.id} item={edited} done={apply} close={() => setEdited(null)} />}
    </>
  );
}


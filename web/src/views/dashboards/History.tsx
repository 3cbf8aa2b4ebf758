// Versions of a dashboard's layout.
import { Ago } from '../../components/Ago';
import { Dialog } from '../../components/Dialog';
import { Loadable } from '../../components/Loadable';
import { useResource } from '../../store/resource';
import type { Layout } from './model';

interface Versions {
  versions: { at: string; by: string | null; layout: Layout | null }[];
}

interface Props {
  name: string;
  close: () => void;
  /** Null is the dashboard as configured. */
  restore: (layout: Layout | null) => void;
}

export function History({ name, close, restore }: Props) {
  const loaded = useResource<Versions>(() => `api/v1/dashboards/${encodeURIComponent(name)}/history`, { every: 1000 });
  return (
    <Dialog title="History" onClose={close}>
      <Loadable resource={loaded} empty={({ versions }) => (versions.length === 0 ? 'Nobody changed this dashboard. Each Save is kept here.' : null)}>
        {({ versions }) => (
          <ol class="versions">
            {versions.map(({ at, by, layout }, index) => (
              <li key={at}>
                <span>
                  <Ago at={at} /> {by && <>by {by}</>} <span class="muted">{layout ? wordsOf(layout) : 'as configured'}</span>
                </span>
                {index === 0 ? <b>now</b> : <button type="button" onClick={() => restore(layout)}>Restore</button>}
              </li>
            ))}
          </ol>
        )}
      </Loadable>
    </Dialog>
  );
}

function wordsOf({ items, removed }: Layout): string {
  const changed = items.filter((item) => item.widget).length;
  return [`${items.length} items`, changed > 0 && `${changed} changed or added`, removed.length > 0 && `${removed.length} removed`].filter(Boolean).join(', ');
}

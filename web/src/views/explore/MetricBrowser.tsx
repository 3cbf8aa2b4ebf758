// The metrics of history: help, type, labels and number of series.
import { useEffect, useState } from 'preact/hooks';
import { getJson, withQuery } from '../../api/client';
import type { Labels } from '../../api/types';
import { Icon } from '../../components/Icon';
import { Loadable } from '../../components/Loadable';
import { useResource } from '../../store/resource';
import { allMetadata, type Metadata, type MetadataByName } from './metadata';

const MOST_SHOWN = 200;

interface Props {
  choose: (text: string) => void;
  close: () => void;
}

export function MetricBrowser({ choose, close }: Props) {
  const names = useResource<string[]>(() => 'api/v1/label/__name__/values', { every: 12 });
  const [metadata, setMetadata] = useState<MetadataByName>({});
  const [filter, setFilter] = useState('');
  useEffect(() => void allMetadata().then(setMetadata, () => undefined), []);
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const helpOf = (name: string): Metadata | undefined => (metadata[name] ?? metadata[name.replace(/_(bucket|sum|count|total)$/, '')])?.[0];
  const matches = (name: string) => words.every((word) => `${name} ${helpOf(name)?.help ?? ''}`.toLowerCase().includes(word));
  return (
    <section class="drawer" aria-label="Metrics">
      <header>
        <input type="search" placeholder="Name or help" aria-label="Filter metrics" value={filter} onInput={(event) => setFilter(event.currentTarget.value)} />
        <button type="button" class="plain" aria-label="Close metrics" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      <Loadable resource={names} empty={(all) => (all.length === 0 ? 'No metrics yet. They appear after the first collection.' : null)}>
        {(all) => {
          const found = all.filter(matches);
          return (
            <ul>
              {found.slice(0, MOST_SHOWN).map((name) => (
                <Metric key={name} name={name} metadata={helpOf(name)} choose={choose} />
              ))}
              {found.length > MOST_SHOWN && <li class="muted">{found.length - MOST_SHOWN} more: type to filter</li>}
              {found.length === 0 && <li class="muted">No metric matches</li>}
            </ul>
          );
        }}
      </Loadable>
    </section>
  );
}

function Metric({ name, metadata, choose }: { name: string; metadata: Metadata | undefined; choose: (text: string) => void }) {
  const [open, setOpen] = useState(false);
  return (
    <li>
      <div class="metric">
        <button type="button" class="plain" aria-expanded={open} onClick={() => setOpen(!open)}>
          <Icon name={open ? 'down' : 'right'} size={12} />
          <code>{name}</code>
          <small>{metadata?.type}</small>
        </button>
        <button type="button" class="plain" aria-label={`Insert ${name}`} title="Insert" onClick={() => choose(name)}>
          <Icon name="add" size={14} />
        </button>
      </div>
      {metadata && <p class="muted">{metadata.help}</p>}
      {open && <Series name={name} type={metadata?.type} choose={choose} />}
    </li>
  );
}

/** Labels of a metric with the number of their values, and queries that are usual for its type. */
function Series({ name, type, choose }: { name: string; type: string | undefined; choose: (text: string) => void }) {
  const [series, setSeries] = useState<Labels[]>();
  useEffect(() => void getJson<Labels[]>(withQuery('api/v1/series', { 'match[]': name })).then(setSeries, () => setSeries([])), [name]);
  if (!series) return <p class="muted">…</p>;
  const labels = [...new Set(series.flatMap((one) => Object.keys(one)))].filter((label) => label !== '__name__').sort();
  const usual = type === 'counter' || /_(total|count|sum|bucket)$/.test(name) ? `rate(${name}[5m])` : name;
  return (
    <div class="metric-series">
      <p>
        {series.length} series <button type="button" class="link" onClick={() => choose(usual)}>{usual}</button>
      </p>
      <dl>
        {labels.map((label) => {
          const values = [...new Set(series.map((one) => one[label]).filter((value) => value !== undefined))];
          return (
            <div key={label}>
              <dt>
                {label} <small>{values.length}</small>
              </dt>
              <dd>
                {values.slice(0, 8).map((value) => (
                  <button key={value} type="button" class="link" onClick={() => choose(`${name}{${label}=${JSON.stringify(value)}}`)}>
                    {value || '""'}
                  </button>
                ))}
                {values.length > 8 && <span class="muted">{values.length - 8} more</span>}
              </dd>
            </div>
          );
        })}
      </dl>
    </div>
  );
}

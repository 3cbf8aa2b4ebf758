// One search for everything: views, alerts, rules, metrics, and actions.
import { useEffect, useId, useMemo, useRef, useState } from 'preact/hooks';
import type { Metric, RuleGroup } from '../api/types';
import { summary } from '../store/agent';
import { reloadConfiguration } from '../store/changes';
import { togglePause } from '../store/clock';
import { open } from '../store/dialogs';
import { PRESETS, setRange } from '../store/range';
import { useResource } from '../store/resource';
import { toggleTheme } from '../store/theme';
import { formatLabels } from '../components/format';
import { Dialog } from '../components/Dialog';
import { Icon, type IconName } from '../components/Icon';
import { navigate } from '../app/router';
import { VIEWS } from '../views';

interface Entry {
  icon: IconName;
  text: string;
  kind: string;
  run: () => void;
}

const SHOWN = 12;

export function PaletteDialog({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState('');
  const [selected, setSelected] = useState(0);
  const id = useId();
  const list = useRef<HTMLUListElement>(null);
  const found = useFound(text);
  const index = Math.min(selected, found.length - 1);
  useEffect(() => list.current?.children[index]?.scrollIntoView({ block: 'nearest' }), [index]);
  const choose = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    entry.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setSelected((index + 1) % found.length);
    else if (event.key === 'ArrowUp') setSelected((index - 1 + found.length) % found.length);
    else if (event.key === 'Enter') choose(found[index]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Search" class="palette" onClose={onClose}>
      <input
        type="text"
        class="search"
        role="combobox"
        list={undefined}
        autofocus
        aria-label="Search for a view, alert, rule, metric or action"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={found.length > 0 ? `${id}-${index}` : undefined}
        placeholder="View, alert, rule, metric, or: silence, acknowledge, reload"
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setSelected(0);
        }}
        onKeyDown={onKeyDown}
      />
      <ul id={id} role="listbox" aria-label="Results" ref={list}>
        {found.map((entry, position) => (
          <li key={`${entry.kind} ${entry.text}`} id={`${id}-${position}`} role="option" aria-selected={position === index} onClick={() => choose(entry)} onPointerMove={() => setSelected(position)}>
            <Icon name={entry.icon} /> <span>{entry.text}</span> <small class="muted">{entry.kind}</small>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p class="muted">Nothing has all of these words.</p>}
    </Dialog>
  );
}

/** Entries that have all words of a text; those that begin with it first. */
function useFound(text: string): Entry[] {
  const rules = useResource<{ groups: RuleGroup[] }>(() => 'api/v1/rules?exclude_alerts=true', { every: 1000 });
  const metrics = useResource<{ metrics: Metric[] }>(() => 'api/v1/metrics?limit=0', { every: 1000 });
  const all = useMemo(
    () => entries(rules.state.value.data?.groups ?? [], metrics.state.value.data?.metrics ?? []),
    [rules.state.value.data, metrics.state.value.data],
  );
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = all.filter((entry) => words.every((word) => `${entry.kind} ${entry.text}`.toLowerCase().includes(word)));
  const first = words[0] ?? '';
  return hits.sort((a, b) => Number(b.text.toLowerCase().startsWith(first)) - Number(a.text.toLowerCase().startsWith(first))).slice(0, SHOWN);
}

function entries(groups: RuleGroup[], metrics: Metric[]): Entry[] {
  const active = summary.state.peek().data?.alerts.active ?? [];
  return [
    ...VIEWS.map((view): Entry => ({ icon: view.icon, text: view.title, kind: 'view', run: () => navigate(view.path) })),
    ...active.flatMap((alert): Entry[] => {
      const { alertname = alert.rule, severity, ...rest } = alert.labels;
      const name = `${alertname} ${formatLabels(rest)}`.trim();
      return [
        { icon: 'alerts', text: name, kind: `${alert.state} alert, ${severity ?? alert.severity}`, run: () => navigate(`alerts/${alert.fingerprint}`) },
        { icon: 'silence', text: `silence ${name}`, kind: 'action', run: () => open({ kind: 'silence', alert }) },
        { icon: 'acknowledge', text: `acknowledge ${name}`, kind: 'action', run: () => open({ kind: 'acknowledge', alert }) },
      ];
    }),
    ...groups.flatMap((group) =>
      group.rules
        .filter((rule) => rule.type === 'alerting')
        .map((rule): Entry => ({ icon: 'rules', text: rule.name, kind: 'rule', run: () => navigate(`rules/${encodeURIComponent(rule.name)}`) })),
    ),
    ...metrics.map((metric): Entry => ({
      icon: 'metrics',
      text: metric.exportedName,
      kind: `${metric.type}, ${metric.help}`,
      run: () => navigate('metrics-list', { q: metric.exportedName }),
    })),
    ...PRESETS.map((preset): Entry => ({ icon: 'clock', text: `last ${preset.label}`, kind: 'time range', run: () => setRange(preset.from) })),
    { icon: 'silences', text: 'new silence', kind: 'action', run: () => open({ kind: 'silence' }) },
    { icon: 'pause', text: 'pause or go live', kind: 'action', run: togglePause },
    { icon: 'sun', text: 'dark or light theme', kind: 'action', run: toggleTheme },
    {
      icon: 'refresh',
      text: 'reload the configuration',
      kind: 'action',
      run: () =>
        open({
          kind: 'confirm',
          title: 'Reload the configuration?',
          text: 'The agent reads its files anew. If one has an error, nothing changes.',
          action: 'Reload',
          run: reloadConfiguration,
        }),
    },
    { icon: 'keyboard', text: 'keys', kind: 'help', run: () => open({ kind: 'keys' }) },
  ];
}

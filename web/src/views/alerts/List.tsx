// Alerts that are firing or pending, worst first, grouped as they are routed. The filter is in the address.
import { useMemo, useRef, useState } from 'preact/hooks';
import type { Alert, Summary } from '../../api/types';
import { summary } from '../../store/agent';
import { open } from '../../store/dialogs';
import { matches, parseMatchers } from '../../store/matchers';
import { mayChange } from '../../store/session';
import { navigate, queryOf, setQuery } from '../../app/router';
import { useKeys } from '../../app/keys';
import { AlertRow, byUrgency, suppressionOf } from '../../components/AlertRow';
import { Filter } from '../../components/Filter';
import { Loadable, Note } from '../../components/Loadable';
import { Icon } from '../../components/Icon';
import { groupsOf, useRoutes } from './grouping';
import { History } from './History';

export function List() {
  return (
    <>
      <h1 class="hidden">Alerts</h1>
      <Loadable resource={summary} lines={6}>
        {(data) => <Active data={data} />}
      </Loadable>
      <History kind="transition" />
    </>
  );
}

const SEVERITIES = ['emergency', 'critical', 'warning', 'info'];
const GROUPS = ['route', 'rule', 'severity', 'none'];

function Active({ data }: { data: Summary }) {
  const all = data.alerts.active;
  const shown = useShown(all);
  const grouping = queryOf('group') ?? 'route';
  const routes = useRoutes(grouping === 'route' ? shown : []);
  const groups = groupsOf(shown, grouping, routes);
  const selected = useSelection(groups.flatMap((group) => group.alerts));
  return (
    <section aria-labelledby="alerts">
      <Bar data={data} shown={shown.length} />
      {all.length === 0 && <Note icon="ok">No alert is pending or firing. All {data.rules} rules are evaluated.</Note>}
      {all.length > 0 && shown.length === 0 && <Note icon="info">No alert passes the filter; {all.length} are hidden.</Note>}
      {groups.map((group) => (
        <div key={group.title} class="alert-group">
          {group.title && (
            <h3>
              {group.title} <span class="muted num">{group.alerts.length}</span>
            </h3>
          )}
          <ul class="card flush">
            {group.alerts.map((alert) => (
              <AlertRow key={alert.fingerprint} alert={alert} selected={alert === selected} onLabel={filterByLabel} />
            ))}
          </ul>
        </div>
      ))}
    </section>
  );
}

function Bar({ data, shown }: { data: Summary; shown: number }) {
  const text = queryOf('q') ?? '';
  const hideSuppressed = queryOf('suppressed') === 'hide';
  const matchers = parseMatchers(text);
  return (
    <header class="bar">
      <h2 id="alerts">{headline(data, shown)}</h2>
      <Filter label="Filter alerts" placeholder='Words, or queue="mail"' />
      <Choice name="severity" label="Severity" values={SEVERITIES} />
      <Choice name="state" label="State" values={['firing', 'pending']} />
      <Choice name="group" label="Group by" values={GROUPS} fallback="route" />
      <button type="button" aria-pressed={hideSuppressed} onClick={() => setQuery({ suppressed: hideSuppressed ? null : 'hide' })}>
        Hide suppressed
      </button>
      {mayChange.value && matchers && matchers.length > 0 && (
        <button type="button" onClick={() => open({ kind: 'silence', matchers: text })}>
          <Icon name="silence" /> Silence these
        </button>
      )}
    </header>
  );
}

/** Alerts that pass the filter of the address, most urgent first. */
function useShown(all: Alert[]): Alert[] {
  const text = queryOf('q') ?? '';
  const severity = queryOf('severity');
  const state = queryOf('state');
  const hideSuppressed = queryOf('suppressed') === 'hide';
  return useMemo(() => {
    const wanted = filter(text);
    return all
      .filter((alert) => wanted(alert) && (!severity || alert.severity === severity) && (!state || alert.state === state))
      .filter((alert) => !hideSuppressed || !suppressionOf(alert))
      .sort(byUrgency);
  }, [all, text, severity, state, hideSuppressed]);
}

function filterByLabel(name: string, value: string): void {
  const others = parseMatchers(queryOf('q') ?? '') ?? [];
  const matchers = [...others.filter((one) => one.name !== name), { name, operator: '=', value }];
  setQuery({ q: matchers.map((one) => `${one.name}${one.operator}${JSON.stringify(one.value)}`).join(', ') }, 'push');
}

/** The alert that the keys act on; j and k move it. */
function useSelection(rows: Alert[]): Alert | undefined {
  const [fingerprint, select] = useState<string>();
  // Beside the state: the next key may come before the page is drawn anew.
  const current = useRef(fingerprint);
  const place = () => rows.findIndex((alert) => alert.fingerprint === current.current);
  const act = (run: (alert: Alert) => void) => {
    const alert = rows[place()];
    if (alert) run(alert);
  };
  const move = (by: number) => {
    const next = rows[Math.max(0, Math.min(rows.length - 1, place() + by))];
    current.current = next?.fingerprint;
    select(next?.fingerprint);
    document.querySelector(`[data-fingerprint="${next?.fingerprint}"]`)?.scrollIntoView({ block: 'nearest' });
  };
  useKeys([
    { keys: 'j', text: 'Next alert', run: () => move(1) },
    { keys: 'k', text: 'Previous alert', run: () => move(-1) },
    { keys: 'Enter', text: 'Open the alert', run: () => act((alert) => navigate(`alerts/${alert.fingerprint}`)) },
    { keys: 's', text: 'Silence the alert', run: () => act((alert) => open({ kind: 'silence', alert })) },
    { keys: 'a', text: 'Acknowledge the alert', run: () => act((alert) => open({ kind: 'acknowledge', alert })) },
    { keys: 'f', text: 'Filter', run: () => document.querySelector<HTMLInputElement>('input[type=search]')?.focus() },
  ]);
  return rows.find((alert) => alert.fingerprint === fingerprint);
}

function Choice({ name, label, values, fallback = '' }: { name: string; label: string; values: string[]; fallback?: string }) {
  return (
    <span class="choice">
      <span class="muted small" aria-hidden="true">
        {label}
      </span>
      <select aria-label={label} value={queryOf(name) ?? fallback} onChange={(event) => setQuery({ [name]: event.currentTarget.value === fallback ? null : event.currentTarget.value })}>
        {fallback === '' && <option value="">any</option>}
        {values.map((value) => (
          <option key={value}>{value}</option>
        ))}
      </select>
    </span>
  );
}

/** Returns the test of a filter: matchers if it can be read as such, else words that all must occur. */
function filter(text: string): (alert: Alert) => boolean {
  const matchers = /[=~]/.test(text) ? parseMatchers(text) : null;
  if (matchers) return (alert) => matches(matchers, alert.labels);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return (alert) => {
    const content = [alert.rule, alert.message, alert.severity, alert.state, ...Object.values(alert.labels)].join(' ').toLowerCase();
    return words.every((word) => content.includes(word));
  };
}

function headline({ alerts }: Summary, shown: number): string {
  const total = alerts.firing + alerts.pending;
  const text = [`${alerts.firing} firing`, alerts.pending > 0 && `${alerts.pending} pending`].filter(Boolean).join(', ');
  return shown < total ? `${text}; ${shown} shown` : text;
}

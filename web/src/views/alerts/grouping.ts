// Groups of the list of alerts.
import { signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { getJson, withQuery } from '../../api/client';
import type { Alert, ExplainedRule } from '../../api/types';
import { bySeverity } from '../../store/agent';

export interface Group {
  title: string;
  alerts: Alert[];
}

/** Receiver and route by fingerprint. */
export type Routes = ReadonlyMap<string, string>;

/** Rules whose routes are asked for; beyond that the list is not grouped by route. */
const MAX_RULES = 40;

/** Returns alerts in groups, in the order in which their most urgent alert stands. */
export function groupsOf(alerts: Alert[], by: string, routes: Routes): Group[] {
  const groups = new Map<string, Alert[]>();
  for (const alert of alerts) {
    const title = titleOf(alert, by, routes);
    groups.set(title, [...(groups.get(title) ?? []), alert]);
  }
  const sorted = [...groups].map(([title, alerts]) => ({ title, alerts }));
  return by === 'severity' ? sorted.sort((a, b) => bySeverity(a.alerts[0]!, b.alerts[0]!)) : sorted;
}

function titleOf(alert: Alert, by: string, routes: Routes): string {
  if (by === 'rule') return alert.labels.alertname ?? alert.rule;
  if (by === 'severity') return alert.severity;
  if (by === 'route' && alert.state !== 'firing') return 'Pending';
  if (by === 'route') return routes.get(alert.fingerprint) ?? (routes.size > 0 ? 'Not routed yet' : '');
  return '';
}

/** Routes of alerts by `explain`, asked again when other rules have alerts. */
export function useRoutes(alerts: Alert[]): Routes {
  const routes = useMemo(() => signal<Routes>(new Map()), []);
  const rules = [...new Set(alerts.map((alert) => alert.rule))].sort().slice(0, MAX_RULES);
  const fingerprints = alerts.map((alert) => alert.fingerprint).sort();
  const key = [...rules, ...fingerprints].join('\n');
  useEffect(() => {
    if (rules.length === 0) return;
    const controller = new AbortController();
    void load(rules, controller.signal).then((loaded) => loaded && (routes.value = loaded));
    return () => controller.abort();
  }, [key]);
  return routes.value;
}

async function load(rules: string[], signal: AbortSignal): Promise<Routes | null> {
  const routes = new Map<string, string>();
  const ask = (rule: string) => getJson<{ rules: ExplainedRule[] }>(withQuery('api/v1/explain', { rule }), signal).catch(() => null);
  for (const answer of await Promise.all(rules.map(ask))) {
    for (const alert of answer?.rules.flatMap((rule) => rule.alerts) ?? []) routes.set(alert.fingerprint, describe(alert));
  }
  return signal.aborted ? null : routes;
}

function describe({ groups }: ExplainedRule['alerts'][number]): string {
  if (groups.length === 0) return 'No route';
  return groups.map((group) => group.receiver || group.channels.join(', ')).join(' and ');
}

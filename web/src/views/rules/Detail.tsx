// The page of one rule: value and threshold over time, its alerts, settings, history.
import type { AlertHistory, RuleGroup } from '../../api/types';
import { withQuery } from '../../api/client';
import { useResource } from '../../store/resource';
import { href } from '../../app/router';
import { AlertRow, byUrgency } from '../../components/AlertRow';
import { Card } from '../../components/Card';
import { EventList } from '../../components/Event';
import { Loadable, Note } from '../../components/Loadable';
import { Badge } from '../../components/Severity';
import { Pending } from './Pending';
import { RuleCard } from './RuleCard';
import { ValueChart } from './ValueChart';
import { stateOf, toneOfRule } from './List';

export function Detail({ name }: { name: string }) {
  const rules = useResource<{ groups: RuleGroup[] }>(() => withQuery('api/v1/rules', { 'rule_name[]': name }));
  const history = useResource<AlertHistory>(() => withQuery('api/v1/alerts/history', { rule: name, kind: 'transition', limit: 50 }), { every: 3 });
  return (
    <Loadable resource={rules} lines={6}>
      {({ groups }) => {
        const rule = groups[0]?.rules.find((one) => one.type === 'alerting') ?? groups[0]?.rules[0];
        if (!rule) {
          return (
            <Note icon="unknown">
              There is no rule {name}. <a href={href('rules')}>All rules</a>
            </Note>
          );
        }
        const alerts = [...(rule.alerts ?? [])].sort(byUrgency);
        const records = history.state.value.data?.records ?? [];
        return (
          <div class="stack">
            <section class="card detail">
              <header>
                <Badge tone={toneOfRule(rule)} word={stateOf(rule)} />
                <h1>{rule.name}</h1>
                {stateOf(rule) === 'pending' && <Pending alerts={alerts} seconds={rule.duration ?? 0} />}
              </header>
              <p class="mono">{rule.condition ?? rule.query}</p>
            </section>
            <ValueChart rule={rule} history={records} />
            {alerts.length > 0 && (
              <ul class="card flush">
                {alerts.map((alert) => (
                  <AlertRow key={alert.fingerprint} alert={alert} />
                ))}
              </ul>
            )}
            <div class="columns">
              <RuleCard rule={rule} />
              <Card title="History">
                <Loadable resource={history} empty={({ records }) => (records.length === 0 ? 'It has never been pending' : null)}>
                  {({ records }) => <EventList records={records} />}
                </Loadable>
              </Card>
            </div>
          </div>
        );
      }}
    </Loadable>
  );
}

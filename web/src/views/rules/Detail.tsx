// The page of one rule: value and threshold over time, its alerts, a change to try, tests, settings, history.
import { useState } from 'preact/hooks';
import type { AlertHistory, Backtest, Rule, RuleGroup } from '../../api/types';
import { withQuery } from '../../api/client';
import { useResource } from '../../store/resource';
import { href } from '../../app/router';
import { AlertRow, byUrgency } from '../../components/AlertRow';
import { Card } from '../../components/Card';
import { EventList } from '../../components/Event';
import { Loadable, Note } from '../../components/Loadable';
import { Badge } from '../../components/Severity';
import { Change } from './Change';
import { Pending } from './Pending';
import { RuleCard, useRuleYaml } from './RuleCard';
import { Tests } from './Tests';
import { ValueChart } from './ValueChart';
import { stateOf, toneOfRule } from './List';

export function Detail({ name }: { name: string }) {
  const rules = useResource<{ groups: RuleGroup[] }>(() => withQuery('api/v1/rules', { 'rule_name[]': name }));
  return (
    <Loadable resource={rules} lines={6}>
      {({ groups }) => {
        const rule = groups[0]?.rules.find((one) => one.type === 'alerting') ?? groups[0]?.rules[0];
        if (rule) return <Page rule={rule} />;
        return (
          <Note icon="unknown">
            There is no rule {name}. <a href={href('rules')}>All rules</a>
          </Note>
        );
      }}
    </Loadable>
  );
}

function Page({ rule }: { rule: Rule }) {
  const history = useResource<AlertHistory>(() => withQuery('api/v1/alerts/history', { rule: rule.name, kind: 'transition', limit: 50 }), { every: 3 });
  const yaml = useRuleYaml(rule.name);
  const [draft, setDraft] = useState<string | null>(null);
  const [result, setResult] = useState<Backtest | null>(null);
  const alerts = [...(rule.alerts ?? [])].sort(byUrgency);
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
      <ValueChart rule={rule} history={history.state.value.data?.records ?? []} backtest={result} />
      {alerts.length > 0 && (
        <ul class="card flush">
          {alerts.map((alert) => (
            <AlertRow key={alert.fingerprint} alert={alert} />
          ))}
        </ul>
      )}
      {rule.type === 'alerting' && yaml !== null && (
        <div class="columns">
          <Change {...{ rule, yaml, setDraft, result, setResult }} draft={draft ?? yaml} />
          <Tests rule={rule} draft={draft !== null && draft !== yaml ? draft : undefined} />
        </div>
      )}
      <div class="columns">
        <RuleCard rule={rule} yaml={yaml} />
        <Card title="History">
          <Loadable resource={history} empty={({ records }) => (records.length === 0 ? 'It has never been pending' : null)}>
            {({ records }) => <EventList records={records} />}
          </Loadable>
        </Card>
      </div>
    </div>
  );
}

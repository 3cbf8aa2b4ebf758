// A rule's settings.
import type { Rule } from '../../api/types';
import { Ago } from '../../components/Ago';
import { Card } from '../../components/Card';
import { formatLabels, formatSeconds } from '../../components/format';
import { useResource } from '../../store/resource';
import { href } from '../../app/router';
import { ruleYaml } from './yaml';

/** Returns the rule in the active configuration; null if it is not there, as one of a rule file. */
export function useRuleYaml(name: string): string | null {
  const config = useResource<{ yaml: string }>(() => 'api/v1/status/config', { every: 60 });
  const { data } = config.state.value;
  return data ? ruleYaml(data.yaml, name) : null;
}

export function RuleCard({ rule, yaml, link = false }: { rule: Rule; yaml: string | null; link?: boolean }) {
  const facts: [string, preact.ComponentChildren][] = [
    ['Condition', <code>{rule.condition ?? rule.query}</code>],
    ['Holds for', rule.duration ? formatSeconds(rule.duration) : 'at once'],
    ['Keeps firing for', rule.keepFiringFor ? formatSeconds(rule.keepFiringFor) : null],
    ['Labels', <code>{formatLabels(rule.labels)}</code>],
    ['Evaluated', <Ago at={rule.lastEvaluation} />],
    ['Took', formatSeconds(rule.evaluationTime)],
    ['Error', rule.lastError ? <span class="tone-critical">{rule.lastError}</span> : null],
    ['Note', rule.note ?? null],
  ];
  return (
    <Card title={link ? <a href={href(`rules/${encodeURIComponent(rule.name)}`)}>Rule {rule.name}</a> : 'Rule'}>
      <dl class="facts">
        {facts
          .filter(([, value]) => value !== null && value !== '')
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      {yaml && <pre class="yaml" tabIndex={0} aria-label="YAML of the rule">{yaml}</pre>}
    </Card>
  );
}

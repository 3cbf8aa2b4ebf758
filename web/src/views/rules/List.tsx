// All rules: those with alerts first, then those that fail, each with its value beside its threshold.
import type { Rule, RuleGroup } from '../../api/types';
import { severityRank, toneOf, type Tone } from '../../store/agent';
import { useResource } from '../../store/resource';
import { href, queryOf, setQuery } from '../../app/router';
import { Ago } from '../../components/Ago';
import { byUrgency, valueText } from '../../components/AlertRow';
import { Filter, hasWords } from '../../components/Filter';
import { Loadable } from '../../components/Loadable';
import { Badge } from '../../components/Severity';
import { formatSeconds } from '../../components/format';
import { Pending } from './Pending';

export function List() {
  const rules = useResource<{ groups: RuleGroup[] }>(() => 'api/v1/rules');
  return (
    <>
      <h1 class="hidden">Rules</h1>
      <Loadable
        resource={rules}
        lines={8}
        empty={({ groups }) => (groups.length === 0 ? 'No rules are configured. They go below alerting.rules of the configuration.' : null)}
      >
        {({ groups }) => <Groups groups={groups} />}
      </Loadable>
    </>
  );
}

const STATES = ['firing', 'pending', 'inactive', 'error', 'recording'];

function Groups({ groups }: { groups: RuleGroup[] }) {
  const text = queryOf('q') ?? '';
  const state = queryOf('state');
  const wanted = hasWords(text);
  const all = groups.flatMap((group) => group.rules.map((rule) => ({ rule, group })));
  const shown = all
    .filter(({ rule, group }) => wanted(`${rule.name} ${rule.condition ?? rule.query} ${group.name} ${Object.values(rule.labels).join(' ')}`))
    .filter(({ rule }) => !state || stateOf(rule) === state)
    .sort((a, b) => STATES.indexOf(stateOf(a.rule)) - STATES.indexOf(stateOf(b.rule)) || severityOf(a.rule) - severityOf(b.rule) || a.rule.name.localeCompare(b.rule.name));
  const count = (wanted: string) => all.filter(({ rule }) => stateOf(rule) === wanted).length;
  return (
    <section aria-labelledby="rules">
      <header class="bar">
        <h2 id="rules">
          {all.length} rules{shown.length < all.length && `; ${shown.length} shown`}
        </h2>
        <Filter label="Filter rules" placeholder="Name, condition, label" />
        <div class="presets" role="group" aria-label="State">
          {STATES.map((name) => (
            <button key={name} type="button" aria-pressed={state === name} onClick={() => setQuery({ state: state === name ? null : name })}>
              {name} <span class="num muted">{count(name)}</span>
            </button>
          ))}
        </div>
      </header>
      <div class="card flush scroll">
        <table class="rows">
          <thead>
            <tr>
              <th>State</th>
              <th>Rule</th>
              <th>Condition</th>
              <th class="right">For</th>
              <th class="right">Alerts</th>
              <th class="right">Evaluated</th>
              <th class="right">Took</th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ rule, group }) => (
              <Row key={`${group.file} ${group.name} ${rule.name}`} rule={rule} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Row({ rule }: { rule: Rule }) {
  const state = stateOf(rule);
  const alerts = rule.alerts ?? [];
  const [worst] = [...alerts].sort(byUrgency);
  return (
    <tr>
      <td>
        <Badge tone={toneOfRule(rule)} word={state} />
      </td>
      <td>
        {rule.type === 'alerting' ? <a href={href(`rules/${encodeURIComponent(rule.name)}`)}>{rule.name}</a> : <span class="mono">{rule.name}</span>}
        {rule.lastError && <p class="tone-critical small">{rule.lastError}</p>}
        {rule.note && <p class="muted small">{rule.note}</p>}
      </td>
      <td class="mono">{rule.condition ?? rule.query}</td>
      <td class="right num" data-label="for">{rule.duration ? formatSeconds(rule.duration) : ''}</td>
      <td class="right num" data-label="alerts">
        {alerts.length > 0 && alerts.length}
        {worst && worst.threshold !== null && <span class="muted"> at {valueText(worst)}</span>}
        {state === 'pending' && <Pending alerts={alerts} seconds={rule.duration ?? 0} />}
      </td>
      <td class="right num muted" data-label="evaluated">
        {rule.lastEvaluation.startsWith('0001') ? 'not yet' : <Ago at={rule.lastEvaluation} />}
      </td>
      <td class="right num muted" data-label="took">{formatSeconds(rule.evaluationTime)}</td>
    </tr>
  );
}

/** Rank of the severity, worst first; the order within a state. */
function severityOf(rule: Rule): number {
  return severityRank(rule.labels.severity ?? '');
}

export function stateOf(rule: Rule): string {
  if (rule.health === 'err') return 'error';
  return rule.type === 'recording' ? 'recording' : (rule.state ?? 'inactive');
}

export function toneOfRule(rule: Rule): Tone {
  const state = stateOf(rule);
  if (state === 'firing') return toneOf(rule.labels.severity ?? '');
  if (state === 'error') return 'warning';
  return state === 'inactive' || state === 'recording' ? (rule.health === 'ok' ? 'ok' : 'unknown') : 'info';
}

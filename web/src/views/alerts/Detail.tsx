// The page of one alert: a sentence, the value over time, who was notified, what moved with it, its rule.
import type { Alert, AlertHistory, ExplainedRule, RuleGroup } from '../../api/types';
import { withQuery } from '../../api/client';
import { summary, toneOf } from '../../store/agent';
import { open } from '../../store/dialogs';
import { release } from '../../store/changes';
import { mayChange } from '../../store/session';
import { useResource } from '../../store/resource';
import { href } from '../../app/router';
import { useKeys } from '../../app/keys';
import { Ago } from '../../components/Ago';
import { suppressionOf, valueText } from '../../components/AlertRow';
import { formatDuration, formatLabels, formatValue } from '../../components/format';
import { Icon } from '../../components/Icon';
import { Loadable, Note } from '../../components/Loadable';
import { Badge } from '../../components/Severity';
import { RuleCard, useRuleYaml } from '../rules/RuleCard';
import { ValueChart } from '../rules/ValueChart';
import { Correlated } from './Correlated';
import { Explained } from './Explained';
import { History } from './History';

export function Detail({ fingerprint }: { fingerprint: string }) {
  const alert = summary.state.value.data?.alerts.active.find((one) => one.fingerprint === fingerprint);
  const history = useResource<AlertHistory>(() => withQuery('api/v1/alerts/history', { fingerprint, kind: 'transition', limit: 50 }), { every: 2 });
  // By its rule, which is there also if the alert resolves meanwhile.
  const explained = useResource<{ rules: ExplainedRule[] }>(() => (alert ? withQuery('api/v1/explain', { rule: alert.rule }) : null));
  const ruleName = alert?.rule ?? history.state.value.data?.records[0]?.rule ?? history.state.value.data?.records[0]?.alertname;
  const rules = useResource<{ groups: RuleGroup[] }>(() => (ruleName ? withQuery('api/v1/rules', { 'rule_name[]': ruleName }) : null), { every: 3 });
  const rule = rules.state.value.data?.groups[0]?.rules[0];
  const yaml = useRuleYaml(ruleName ?? '');
  return (
    <div class="stack">
      {alert ? <Heading alert={alert} /> : <Past history={history.state.value.data} />}
      {rule && <ValueChart rule={rule} labels={alert?.labels ?? history.state.value.data?.records[0]?.labels ?? {}} history={history.state.value.data?.records ?? []} />}
      <div class="columns">
        <div class="stack">
          {alert && (
            <Loadable resource={explained}>
              {({ rules }) => <>{rules.flatMap((one) => one.alerts).filter((one) => one.fingerprint === fingerprint).map((one) => <Explained key={one.fingerprint} alert={one} />)}</>}
            </Loadable>
          )}
          {alert && <Correlated alert={alert} />}
          {rule && <RuleCard rule={rule} yaml={yaml} link />}
        </div>
        <History fingerprint={fingerprint} title="Timeline" />
      </div>
    </div>
  );
}

function Heading({ alert }: { alert: Alert }) {
  const { alertname = alert.rule, severity: _, ...labels } = alert.labels;
  const suppression = suppressionOf(alert);
  const act = useActions(alert);
  return (
    <section class="card detail" aria-labelledby="alert">
      <header>
        <Badge tone={toneOf(alert.severity)} word={alert.severity} />
        <h1 id="alert">
          {alert.message || alertname}
        </h1>
      </header>
      <p>
        <b>{alertname}</b> <span class="mono muted">{formatLabels(labels)}</span> {alert.state} for{' '}
        <Ago at={alert.state === 'firing' ? alert.firedAt : alert.activeAt} suffix="" />
        {alert.threshold !== null && (
          <>
            , value <b class="num">{valueText(alert)}</b>
            {alert.peak !== null && <span class="muted num">, peak {formatValue(alert.peak)}</span>}
          </>
        )}{' '}
        {suppression && <span class="chip strong">{suppression.text}</span>}
      </p>
      <Annotations alert={alert} />
      {mayChange.value && (
        <div class="actions">
          <button type="button" onClick={act.silence}>
            <Icon name="silence" /> Silence
          </button>
          {alert.acknowledgedBy ? (
            <button type="button" onClick={() => void release(alert.fingerprint)}>
              <Icon name="close" /> End the acknowledgement
            </button>
          ) : (
            alert.state === 'firing' && (
              <button type="button" onClick={act.acknowledge}>
                <Icon name="acknowledge" /> Acknowledge
              </button>
            )
          )}
          {alert.state === 'firing' && (
            <button type="button" onClick={act.resolve}>
              <Icon name="resolve" /> Resolve
            </button>
          )}
        </div>
      )}
    </section>
  );
}

function useActions(alert: Alert) {
  const actions = {
    silence: () => open({ kind: 'silence', alert }),
    acknowledge: () => open({ kind: 'acknowledge', alert }),
    resolve: () => open({ kind: 'resolve', alert }),
  };
  useKeys([
    { keys: 's', text: 'Silence the alert', run: actions.silence },
    { keys: 'a', text: 'Acknowledge the alert', run: actions.acknowledge },
    { keys: 'r', text: 'Resolve the alert', run: actions.resolve },
  ]);
  return actions;
}

/** Annotations beside the message; an address is a link. */
function Annotations({ alert }: { alert: Alert }) {
  const entries = Object.entries(alert.annotations).filter(([, text]) => text && text !== alert.message);
  if (entries.length === 0) return null;
  return (
    <dl class="facts">
      {entries.map(([name, text]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {/^https?:\/\//.test(text) ? (
              <a href={text} target="_blank" rel="noreferrer noopener">
                {text}
              </a>
            ) : (
              text
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** An alert that is neither pending nor firing. */
function Past({ history }: { history: AlertHistory | undefined }) {
  const last = history?.records[0];
  if (!history) return null;
  if (!last) {
    return (
      <Note icon="unknown">
        No alert has this fingerprint, now or in the history. <a href={href('alerts')}>All alerts</a>
      </Note>
    );
  }
  const { alertname: _, severity: __, ...labels } = last.labels;
  return (
    <section class="card detail">
      <header>
        <Badge tone="ok" word={last.event} />
        <h1>{last.message || last.alertname}</h1>
      </header>
      <p>
        <b>{last.alertname}</b> <span class="mono muted">{formatLabels(labels)}</span> {last.event} <Ago at={last.at} />
        {last.firedForSeconds !== undefined && `, after ${formatDuration(last.firedForSeconds)}`}
      </p>
    </section>
  );
}


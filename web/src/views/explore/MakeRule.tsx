// A rule for a query, as YAML to paste, with the threshold that history proposes.
import { useState } from 'preact/hooks';
import { withQuery } from '../../api/client';
import { Dialog } from '../../components/Dialog';
import { Failure } from '../../components/Loadable';
import { useResource } from '../../store/resource';
import { attempt } from '../../store/toast';

interface Advice {
  condition: string;
  threshold: number;
  duration: string;
  alertsPerWeek: number;
  samples: number;
  historySeconds: number;
}

const CONDITIONS = ['>', '>=', '<', '<='];
const SEVERITIES = ['info', 'warning', 'critical', 'emergency'];

export function MakeRule({ query, close }: { query: string; close: () => void }) {
  const selector = /^\s*[\w:]+\s*(\{[^}]*\})?\s*$/.test(query);
  const advice = useResource<Advice>(() => (selector ? withQuery('api/v1/advise', { metric: query.trim() }) : null), { every: 1000 });
  const { data, error, loading } = advice.state.value;
  const [own, setOwn] = useState<{ name?: string; condition?: string; threshold?: number; duration?: string; severity?: string }>({});
  const rule = {
    name: own.name ?? nameOf(query),
    condition: own.condition ?? data?.condition ?? '>',
    threshold: own.threshold ?? data?.threshold ?? 0,
    duration: own.duration ?? data?.duration ?? '5m',
    severity: own.severity ?? 'warning',
  };
  const yaml = yamlOf(query, rule);
  return (
    <Dialog title="Make this a rule" class="make-rule" onClose={close}>
      <p>
        <code>{query}</code>
      </p>
      <p class="muted" role="status">
        {data
          ? `History of ${days(data.historySeconds)} proposes ${data.condition} ${data.threshold} for ${data.duration}: about ${data.alertsPerWeek} alerts a week.`
          : loading
            ? 'Asking history for a threshold…'
            : selector
              ? ''
              : 'A threshold is proposed for a single metric only. Choose one.'}
      </p>
      {error && <Failure error={error} />}
      <div class="fields">
        <label>
          Name <input value={rule.name} onInput={(event) => setOwn({ ...own, name: event.currentTarget.value })} />
        </label>
        <label>
          Condition{' '}
          <select value={rule.condition} onChange={(event) => setOwn({ ...own, condition: event.currentTarget.value })}>
            {CONDITIONS.map((condition) => (
              <option key={condition}>{condition}</option>
            ))}
          </select>
        </label>
        <label>
          Threshold <input type="number" step="any" value={rule.threshold} onInput={(event) => setOwn({ ...own, threshold: Number(event.currentTarget.value) })} />
        </label>
        <label>
          For <input value={rule.duration} onInput={(event) => setOwn({ ...own, duration: event.currentTarget.value })} />
        </label>
        <label>
          Severity{' '}
          <select value={rule.severity} onChange={(event) => setOwn({ ...own, severity: event.currentTarget.value })}>
            {SEVERITIES.map((severity) => (
              <option key={severity}>{severity}</option>
            ))}
          </select>
        </label>
      </div>
      <textarea class="code" readOnly rows={10} aria-label="YAML" value={yaml} onFocus={(event) => event.currentTarget.select()} />
      <div class="actions">
        <button type="button" class="primary" onClick={() => attempt('Copied', () => navigator.clipboard.writeText(yaml))}>
          Copy
        </button>
        <button type="button" onClick={close}>
          Close
        </button>
      </div>
    </Dialog>
  );
}

interface Rule {
  name: string;
  condition: string;
  threshold: number;
  duration: string;
  severity: string;
}

/** Returns the rule for the configuration: on history, since the query is PromQL. */
export function yamlOf(query: string, { name, condition, threshold, duration, severity }: Rule): string {
  const lines = [
    'performance_monitor:',
    '  alerting:',
    '    rules:',
    `      - name: ${name}`,
    ...(query.includes('\n') ? ['        promql: |', ...query.split('\n').map((line) => `          ${line}`)] : [`        promql: ${quoted(query)}`]),
    `        condition: "${condition}"`,
    `        threshold: ${threshold}`,
    `        duration: ${duration}`,
    `        severity: ${severity}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** Text in single quotes, in which YAML has no escapes but a doubled quote. */
function quoted(text: string): string {
  return `'${text.trim().replaceAll("'", "''")}'`;
}

function nameOf(query: string): string {
  const words = query.toLowerCase().match(/[a-z][a-z0-9_]*/g) ?? [];
  const metric = words.sort((a, b) => b.length - a.length)[0] ?? 'query';
  return `${metric}_rule`;
}

function days(seconds: number): string {
  return seconds >= 172_800 ? `${Math.round(seconds / 86_400)} days` : `${Math.round(seconds / 3600)} h`;
}

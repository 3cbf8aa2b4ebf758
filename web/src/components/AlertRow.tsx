// An alert in a list: severity, what and since when, its state, two actions.
import type { Alert } from '../api/types';
import { bySeverity, toneOf } from '../store/agent';
import { open } from '../store/dialogs';
import { mayChange } from '../store/session';
import { href } from '../app/router';
import { Ago } from './Ago';
import { formatLabels, formatValue, sampleValue, unitOf } from './format';
import { Icon } from './Icon';
import { Badge } from './Severity';

interface Props {
  alert: Alert;
  selected?: boolean;
  /** Adds a label to the filter of the list. */
  onLabel?: (name: string, value: string) => void;
}

export function AlertRow({ alert, selected = false, onLabel }: Props) {
  const { alertname = alert.rule, severity: _, ...labels } = alert.labels;
  const since = alert.state === 'firing' ? (alert.firedAt ?? alert.activeAt) : alert.activeAt;
  const suppression = suppressionOf(alert);
  const name = `${alertname} ${formatLabels(labels)}`;
  return (
    <li class={`alert-row ${suppression ? 'suppressed' : ''}`} data-fingerprint={alert.fingerprint} aria-current={selected || undefined}>
      <span class="severity">
        <Badge tone={toneOf(alert.severity)} word={alert.severity} />
        {alert.state !== 'firing' && (
          <span class="badge muted">
            <Icon name="pending" size={14} /> {alert.state}
          </span>
        )}
      </span>
      <div class="what">
        <a href={href(`alerts/${alert.fingerprint}`)}>{alertname}</a> <span>{alert.message}</span>
        <div class="chips">
          {Object.entries(labels).map(([name, value]) =>
            onLabel ? (
              <button key={name} type="button" class="chip" title="Filter by this label" onClick={() => onLabel(name, value)}>
                {name}={value}
              </button>
            ) : (
              <span key={name} class="chip">
                {name}={value}
              </span>
            ),
          )}
          {suppression && (
            <span class="chip strong">
              <Icon name={suppression.icon} size={12} /> {suppression.text}
            </span>
          )}
        </div>
      </div>
      <span class="value num">{alert.threshold !== null && valueText(alert)}</span>
      <span class="since num muted">
        <Ago at={since} suffix="" />
      </span>
      {mayChange.value && (
        <span class="actions">
          <button type="button" onClick={() => open({ kind: 'silence', alert })}>
            <Icon name="silence" /> <span>Silence</span> <span class="hidden">{name}</span>
          </button>
          {alert.state === 'firing' && !alert.acknowledgedBy && (
            <button type="button" onClick={() => open({ kind: 'acknowledge', alert })}>
              <Icon name="acknowledge" /> <span>Ack</span> <span class="hidden">{name}</span>
            </button>
          )}
        </span>
      )}
    </li>
  );
}

/** Value beside its threshold, in the unit that the metric's name has. */
export function valueText(alert: Alert): string {
  const unit = unitOf(alert.labels.__name__ ?? alert.rule);
  const value = formatValue(sampleValue(alert.value), unit);
  return alert.threshold === null ? value : `${value} / ${formatValue(alert.threshold, unit)}`;
}

export function suppressionOf(alert: Alert): { icon: 'silence' | 'acknowledge'; text: string } | null {
  if (alert.silencedBy) return { icon: 'silence', text: `silenced by ${alert.silencedBy.replace(/^([0-9a-f]{8})-[0-9a-f-]{27}$/, '$1')}` };
  if (alert.inhibitedBy) return { icon: 'silence', text: `inhibited by ${alert.inhibitedBy}` };
  if (alert.acknowledgedBy) return { icon: 'acknowledge', text: `acknowledged by ${alert.acknowledgedBy}` };
  return null;
}

/** Orders as a person looks: firing before pending, what nobody has taken before the rest, worst, then newest. */
export function byUrgency(a: Alert, b: Alert): number {
  return (
    Number(b.state === 'firing') - Number(a.state === 'firing') ||
    Number(suppressionOf(a) !== null) - Number(suppressionOf(b) !== null) ||
    bySeverity(a, b) ||
    Date.parse(b.firedAt ?? b.activeAt) - Date.parse(a.firedAt ?? a.activeAt)
  );
}

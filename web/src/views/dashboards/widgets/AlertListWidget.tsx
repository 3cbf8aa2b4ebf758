// Alerts that fire, worst first.
import { href } from '../../../app/router';
import { Ago } from '../../../components/Ago';
import { formatLabels } from '../../../components/format';
import { Badge } from '../../../components/Severity';
import { bySeverity, summary, toneOf } from '../../../store/agent';

export function AlertListWidget() {
  const alerts = summary.state.value.data?.alerts.active ?? [];
  const firing = alerts.filter((alert) => alert.state === 'firing').sort(bySeverity);
  if (firing.length === 0) return <p class="widget-empty">Nothing fires</p>;
  return (
    <ul class="scroll alert-list">
      {firing.map((alert) => (
        <li key={alert.fingerprint}>
          <Badge tone={toneOf(alert.severity)} word={alert.severity} />
          <a href={href(`alerts/${alert.fingerprint}`)}>
            {alert.rule} <span class="muted">{formatLabels(alert.labels, ['alertname', '__name__'])}</span>
          </a>
          <Ago at={alert.firedAt} />
        </li>
      ))}
    </ul>
  );
}

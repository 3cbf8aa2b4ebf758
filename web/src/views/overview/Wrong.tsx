// What is wrong now, worst first; or one quiet line.
import type { Alert, Summary } from '../../api/types';
import { href } from '../../app/router';
import { Ago } from '../../components/Ago';
import { AlertRow, byUrgency, suppressionOf } from '../../components/AlertRow';
import { Icon } from '../../components/Icon';
import { Badge } from '../../components/Severity';
import { formatDuration } from '../../components/format';

const ROWS = 5;

export function Wrong({ data }: { data: Summary }) {
  const firing = data.alerts.active.filter((alert) => alert.state === 'firing').sort(byUrgency);
  const open = firing.filter((alert) => !suppressionOf(alert));
  const faults = faultsOf(data);
  if (firing.length === 0 && faults.length === 0) return <Quiet data={data} />;
  const isUrgent = (alert: Alert) => open.includes(alert) && ['emergency', 'critical'].includes(alert.severity);
  const urgent = firing.filter(isUrgent);
  const others = firing.filter((alert) => !isUrgent(alert));
  const room = Math.max(0, ROWS - urgent.length);
  const rest = Math.max(0, urgent.length - ROWS) + Math.max(0, others.length - room);
  return (
    <section class="card wrong" aria-labelledby="wrong">
      <header>
        <h2 id="wrong">{headline(open.length, firing.length, faults.length)}</h2>
        {data.alerts.pending > 0 && <span class="muted">{data.alerts.pending} pending</span>}
      </header>
      <ul>
        {urgent.slice(0, ROWS).map((alert) => (
          <AlertRow key={alert.fingerprint} alert={alert} />
        ))}
        {faults.map((fault) => (
          <FaultRow key={fault.text} {...fault} />
        ))}
        {others.slice(0, room).map((alert) => (
          <AlertRow key={alert.fingerprint} alert={alert} />
        ))}
      </ul>
      {rest > 0 && (
        <a class="more" href={href('alerts')}>
          {rest} more
        </a>
      )}
    </section>
  );
}

function FaultRow({ text, reason, path, since }: Fault) {
  return (
    <li class="alert-row fault">
      <span class="severity">
        <Badge tone="warning" word="degraded" />
      </span>
      <div class="what">
        <a href={href(path)}>{text}</a> <span>{reason}</span>
      </div>
      <span class="since num muted">{since !== null && <Ago at={since} suffix="" />}</span>
    </li>
  );
}

function Quiet({ data }: { data: Summary }) {
  const pending = data.alerts.pending;
  return (
    <p class="card quiet" role="status">
      <span class="tone-ok">
        <Icon name="ok" />
      </span>
      <span>
        {data.rules > 0 ? `All ${data.rules} rules evaluated, nothing firing` : 'No rules are configured, so nothing can fire'}
        {pending > 0 && `, ${pending} pending`}
      </span>
      <span class="muted">up {formatDuration(data.uptimeSeconds)}</span>
    </p>
  );
}

function headline(open: number, firing: number, faults: number): string {
  const parts = [];
  if (open > 0) parts.push(`${open} ${open === 1 ? 'alert needs' : 'alerts need'} a look`);
  if (firing > open) parts.push(`${firing - open} silenced or taken`);
  if (faults > 0) parts.push(`${faults} ${faults === 1 ? 'fault' : 'faults'} of the agent itself`);
  return parts.join(', ');
}

interface Fault {
  text: string;
  reason: string;
  path: string;
  since: string | null;
}

/** Faults of the agent's parts, for which no rule is needed. */
function faultsOf({ health }: Summary): Fault[] {
  const faults: Fault[] = [];
  for (const [name, collector] of Object.entries(health.collectors)) {
    if (collector.success === false)
      faults.push({ text: `Collector ${name} fails`, reason: collector.error ?? collector.reason ?? '', path: 'collectors', since: collector.lastSuccess });
  }
  for (const channel of health.channels) {
    if (channel.lastError !== null)
      faults.push({ text: `Channel ${channel.name} fails`, reason: channel.lastError, path: 'notifications', since: null });
  }
  for (const [part, error] of [
    ['History', health.history?.error],
    ['Alert history', health.alertHistory?.error],
    ['State', health.state.error],
    ['The last reload', health.lastReload && !health.lastReload.success ? health.lastReload.error : null],
  ] as const) {
    if (error) faults.push({ text: `${part} fails`, reason: error, path: 'collectors', since: null });
  }
  return faults;
}

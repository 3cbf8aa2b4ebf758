// Collectors, channels and stores of the agent as a strip of dots.
import type { Health } from '../../api/types';
import { href } from '../../app/router';
import { Card } from '../../components/Card';
import { Loadable } from '../../components/Loadable';
import { Dot } from '../../components/Severity';
import { formatBytes } from '../../components/format';
import { summary, type Tone } from '../../store/agent';

interface Part {
  name: string;
  tone: Tone;
  text: string;
}

export function Components() {
  return (
    <Card title="Agent">
      <Loadable resource={summary}>
        {({ health, series, metrics }) => (
          <>
            <Strip title="Collectors" path="collectors" parts={collectors(health)} />
            <Strip title="Channels" path="notifications" parts={channels(health)} />
            <Strip title="Storage" path="collectors" parts={stores(health)} />
            <p class="muted small num">
              {series} series of {metrics} metrics
              {health.history && health.history.bytes > 0 && `, ${formatBytes(health.history.bytes)} of history`}, version {health.version}
            </p>
          </>
        )}
      </Loadable>
    </Card>
  );
}

function Strip({ title, path, parts }: { title: string; path: string; parts: Part[] }) {
  if (parts.length === 0) return null;
  return (
    <div class="strip">
      <a href={href(path)}>{title}</a>
      <ul>
        {parts.map(({ name, tone, text }) => (
          <li key={name}>
            <Dot tone={tone} label={text ? `${name}: ${text}` : `${name} is fine`} /> <span>{name}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function collectors(health: Health): Part[] {
  return Object.entries(health.collectors).map(([name, { success, error, reason, notes }]) => ({
    name,
    tone: success === null ? 'unknown' : success ? 'ok' : 'critical',
    text: success === null ? 'has not run yet' : success ? notes.join('; ') : (error ?? reason ?? 'fails'),
  }));
}

function channels(health: Health): Part[] {
  return health.channels.map(({ name, lastError, deadLetters, queued }) => ({
    name,
    tone: lastError !== null ? 'critical' : deadLetters > 0 ? 'warning' : 'ok',
    text: lastError ?? (deadLetters > 0 ? `${deadLetters} dead letters` : queued > 0 ? `${queued} queued` : ''),
  }));
}

function stores({ history, alertHistory, state, remoteWrite }: Health): Part[] {
  const part = (name: string, error: string | null | undefined): Part => ({ name, tone: error ? 'critical' : 'ok', text: error ?? '' });
  return [
    ...(history ? [part('history', history.error)] : []),
    ...(alertHistory ? [part('alert history', alertHistory.error)] : []),
    part('state', state.error),
    ...remoteWrite.map(({ name, lastError }) => part(`remote write ${name}`, lastError)),
  ];
}

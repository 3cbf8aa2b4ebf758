// Records of the alert history, each in one line.
import type { HistoryRecord } from '../api/types';
import { toneOf, type Tone } from '../store/agent';
import { href } from '../app/router';
import { Ago } from './Ago';
import { formatLabels } from './format';
import { Icon } from './Icon';

/** Records of the alert history, one a line; without `links` to their alerts where all are of one. */
export function EventList({ records, links = true }: { records: HistoryRecord[]; links?: boolean }) {
  return (
    <ol class="events">
      {records.map((record, index) => (
        <Event key={`${record.at} ${record.fingerprint} ${record.event} ${record.channel} ${index}`} record={record} link={links} />
      ))}
    </ol>
  );
}

function Event({ record, link }: { record: HistoryRecord; link: boolean }) {
  const { alertname: _, severity: __, ...labels } = record.labels;
  return (
    <li class="event">
      <span class="num muted">
        <Ago at={record.at} suffix="" />
      </span>
      <span class={`badge tone-${toneOfEvent(record)}`}>
        <Icon name={record.kind === 'notification' ? 'notifications' : iconOf(record)} size={14} /> {record.event}
      </span>
      <span class="text">
        {link && (
          <>
            <a href={href(`alerts/${record.fingerprint}`)}>{record.alertname}</a> <span class="mono muted">{formatLabels(labels)}</span>{' '}
          </>
        )}
        <span>{textOf(record)}</span>
      </span>
    </li>
  );
}

function textOf(record: HistoryRecord): string {
  const parts = [
    record.channel && `${record.cause ?? 'notification'} by ${record.channel}`,
    record.error,
    record.muteReason,
    record.dropReason,
    record.attempt && record.attempt > 1 ? `attempt ${record.attempt}` : '',
    record.kind === 'transition' ? record.reason : '',
  ];
  return parts.filter(Boolean).join(', ');
}

const GOOD = new Set(['resolved', 'delivered', 'recovered']);
const BAD = new Set(['failed', 'rejected', 'dropped', 'retried', 'dead_letter']);

function toneOfEvent(record: HistoryRecord): Tone {
  if (GOOD.has(record.event)) return 'ok';
  if (record.kind === 'notification') return BAD.has(record.event) ? 'warning' : 'unknown';
  return record.event === 'firing' || record.event.startsWith('severity') ? toneOf(record.severity) : 'unknown';
}

function iconOf(record: HistoryRecord): Tone | 'pending' {
  return record.event === 'pending' ? 'pending' : toneOfEvent(record);
}

// Times in which alerts fired, for the charts with the thresholds of their rules.
import { computed } from '@preact/signals';
import { href } from '../../app/router';
import { withQuery } from '../../api/client';
import type { Mark, Severity } from '../../charts';
import { formatTime } from '../../components/format';
import { range } from '../../store/range';
import { resource } from '../../store/resource';
import type { Widget } from './model';

interface Transition {
  at: string;
  event: string;
  alertname: string;
  rule?: string;
  fingerprint: string;
  severity: Severity;
  firedForSeconds?: number;
}

/** Transitions of the range; bounds are whole minutes, so that one path is asked for a minute. */
const transitions = resource<{ records: Transition[] }>(() => {
  const { start, end } = range.value;
  const time = (seconds: number) => new Date(seconds * 1000).toISOString();
  const [from, to] = [Math.floor(start / 60) * 60, Math.ceil(end / 60) * 60];
  return withQuery('api/v1/alerts/history', { kind: 'transition', event: 'firing,resolved', start: time(from), end: time(to), limit: 500, order: 'oldest' });
}, { every: 10 });

/** Changes when an answer arrives, and not while one is awaited. */
const records = computed(() => transitions.state.value.data?.records ?? []);

const byRule = computed(() => {
  const marks = new Map<string, Mark[]>();
  const open = new Map<string, Mark>();
  const add = (record: Transition, time: number, until?: number): Mark => {
    const rule = record.rule ?? record.alertname;
    const label = `${rule}: ${record.severity} since ${formatTime(time * 1000)}`;
    const mark: Mark = { time, severity: record.severity, label, href: href(`alerts/${record.fingerprint}`), ...(until !== undefined && { until }) };
    marks.set(rule, [...(marks.get(rule) ?? []), mark]);
    return mark;
  };
  for (const record of records.value) {
    const at = Date.parse(record.at) / 1000;
    const began = open.get(record.fingerprint);
    if (record.event === 'firing') open.set(record.fingerprint, add(record, at));
    else if (began) began.until = at;
    else add(record, at - (record.firedForSeconds ?? 0), at);
  }
  return marks;
});

const MOST_MARKS = 60;

/** Returns the marks of the rules whose thresholds a widget has. */
export function marksOf({ thresholds }: Widget): Mark[] {
  const rules = new Set(thresholds.flatMap(({ rule }) => (rule ? [rule] : [])));
  return [...rules].flatMap((rule) => byRule.value.get(rule) ?? []).slice(-MOST_MARKS);
}

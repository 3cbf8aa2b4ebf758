// Days and times at which silences are in force, for the calendar. Recurring times are those of Alertmanager.
import type { Silence, TimeInterval } from '../../api/types';
import { formatDay } from '../../components/format';

export interface Occurrence {
  silence: Silence;
  /** `01:00–05:00`, `from 14:30`, or empty for a whole day. */
  text: string;
  /** For the order within a day. */
  begin: string;
}

/** Returns the occurrences on a day of the browser's calendar; recurring times are read in their own time zone. */
export function occurrencesOn(day: Date, silences: Silence[]): Occurrence[] {
  return silences.flatMap((silence) => onDay(day, silence)).sort((a, b) => a.begin.localeCompare(b.begin));
}

function onDay(day: Date, silence: Silence): Occurrence[] {
  const end = new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1);
  const starts = new Date(silence.startsAt);
  const ends = silence.endsAt ? new Date(silence.endsAt) : null;
  if (starts >= end || (ends && ends <= day)) return [];
  const one = (begin: string, text: string): Occurrence => ({ silence, begin, text });
  if (silence.times?.length) {
    const found = silence.times.filter((interval) => isDay(day, interval));
    return found.flatMap((interval) => ranges(interval).map(([from, to]) => one(from, from === '' ? '' : `${from}–${to}`)));
  }
  if (silence.intervals?.length) return [one('', `during ${silence.intervals.join(', ')}`)];
  const from = starts > day ? clock(starts) : '';
  const to = ends && ends < end ? clock(ends) : '';
  if (!from && !to) return [one('', '')];
  return [one(from, from && to ? `${from}–${to}` : from ? `from ${from}` : `until ${to}`)];
}

function ranges(interval: TimeInterval): [string, string][] {
  return interval.times?.length ? interval.times.map(({ start_time, end_time }) => [start_time, end_time]) : [['', '']];
}

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
const MONTHS = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december'];

function isDay(day: Date, { weekdays, days_of_month, months, years }: TimeInterval): boolean {
  const length = new Date(day.getFullYear(), day.getMonth() + 1, 0).getDate();
  const within = (list: string[] | undefined, value: number, parse: (text: string) => number) =>
    !list?.length ||
    list.some((text) => {
      const [from = '', to = from] = String(text).split(':');
      return parse(from) <= value && value <= parse(to);
    });
  return (
    within(weekdays, day.getDay(), (text) => WEEKDAYS.indexOf(text.toLowerCase())) &&
    within(days_of_month, day.getDate(), (text) => (Number(text) < 0 ? length + 1 + Number(text) : Number(text))) &&
    within(months, day.getMonth(), (text) => (/^\d+$/.test(text) ? Number(text) - 1 : MONTHS.indexOf(text.toLowerCase()))) &&
    within(years, day.getFullYear(), Number)
  );
}

/** Returns the recurrence in words; empty for a silence that does not recur. */
export function recurrenceText({ times, intervals, location }: Silence): string {
  const zone = location ? ` (${location})` : '';
  const texts = (times ?? []).map((interval) => {
    const days = [interval.weekdays, interval.days_of_month?.map((day) => `day ${day}`), interval.months, interval.years];
    const when = days.filter((list) => list?.length).map((list) => list?.join(', '));
    const hours = interval.times?.map(({ start_time, end_time }) => `${start_time}–${end_time}`).join(', ');
    return [when.length > 0 ? when.join(' of ') : 'every day', hours].filter(Boolean).join(' ') + (interval.location ? ` (${interval.location})` : '');
  });
  return [...texts, ...(intervals ?? []).map((name) => `during ${name}`)].join('; ') + (times?.length ? zone : '');
}

/** Returns the Monday of the week of a day, at midnight. */
export function mondayOf(day: Date): Date {
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() - ((day.getDay() + 6) % 7));
}

export function addDays(day: Date, count: number): Date {
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + count);
}

/** Returns midnight of `2026-11-29`; null for any other text. */
export function parseDay(text: string | null): Date | null {
  const found = text?.match(/^(\d{4})-(\d\d)-(\d\d)$/);
  if (!found) return null;
  const day = new Date(Number(found[1]), Number(found[2]) - 1, Number(found[3]));
  return formatDay(day) === text ? day : null;
}

function clock(at: Date): string {
  return at.toTimeString().slice(0, 5);
}

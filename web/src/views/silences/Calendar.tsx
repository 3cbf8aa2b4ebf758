// Four weeks of silences. On a phone only days with some are listed.
import type { Silence } from '../../api/types';
import { now } from '../../store/clock';
import { queryOf, setQuery } from '../../app/router';
import { Card } from '../../components/Card';
import { Icon } from '../../components/Icon';
import { formatDay } from '../../components/format';
import { addDays, mondayOf, occurrencesOn, parseDay, recurrenceText, type Occurrence } from './occurrences';

const WEEKS = 4;
const NAMES = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const SHOWN = 4;

export function Calendar({ silences }: { silences: Silence[] }) {
  const today = new Date(Math.floor(now.value / 60_000) * 60_000);
  const first = mondayOf(parseDay(queryOf('week')) ?? today);
  const move = (weeks: number) => {
    const week = formatDay(addDays(first, weeks * 7));
    setQuery({ week: week === formatDay(mondayOf(today)) ? null : week });
  };
  const days = Array.from({ length: WEEKS * 7 }, (_, index) => addDays(first, index));
  const actions = (
    <div class="group">
      <button type="button" aria-label="Four weeks back" onClick={() => move(-WEEKS)}>
        <Icon name="left" />
      </button>
      <button type="button" onClick={() => setQuery({ week: null })}>
        Today
      </button>
      <button type="button" aria-label="Four weeks forward" onClick={() => move(WEEKS)}>
        <Icon name="right" />
      </button>
    </div>
  );
  return (
    <Card title={`${formatDay(first)} to ${formatDay(addDays(first, WEEKS * 7 - 1))}`} actions={actions}>
      <div class="calendar">
        {NAMES.map((name) => (
          <span key={name} class="weekday muted small" aria-hidden="true">
            {name}
          </span>
        ))}
        {days.map((day) => (
          <Day key={formatDay(day)} day={day} isToday={formatDay(day) === formatDay(today)} found={occurrencesOn(day, silences)} />
        ))}
      </div>
    </Card>
  );
}

function Day({ day, isToday, found }: { day: Date; isToday: boolean; found: Occurrence[] }) {
  return (
    <section class={`day ${found.length === 0 ? 'free' : ''}`} aria-current={isToday ? 'date' : undefined} aria-label={formatDay(day)}>
      <span class="date num muted">
        <span class="name">{NAMES[(day.getDay() + 6) % 7]}</span> {day.getDate()}
        {day.getDate() === 1 && ` ${day.toLocaleString('en', { month: 'short' })}`}
      </span>
      <ul>
        {found.slice(0, SHOWN).map(({ silence, text }, index) => (
          <li key={silence.id + index} class={silence.configured ? 'maintenance' : ''} title={[silence.matchers, recurrenceText(silence), silence.comment].filter(Boolean).join('\n')}>
            {text && <span class="num">{text}</span>} {nameOf(silence)}
          </li>
        ))}
      </ul>
      {found.length > SHOWN && <span class="muted small">{found.length - SHOWN} more</span>}
    </section>
  );
}

function nameOf(silence: Silence): string {
  return silence.comment || silence.id.replace(/^maintenance\//, '') || silence.matchers;
}

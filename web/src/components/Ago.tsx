import { now } from '../store/clock';
import { MISSING, formatDuration } from './format';

/** Time since then, with the absolute time on hover. A time to come reads `in 2 h`. */
export function Ago({ at, suffix = ' ago' }: { at: string | number | null | undefined; suffix?: string }) {
  if (at === null || at === undefined) return <span class="muted">{MISSING}</span>;
  const time = new Date(at).getTime();
  if (Number.isNaN(time)) return <span class="muted">{MISSING}</span>;
  const seconds = (now.value - time) / 1000;
  const text = seconds < -1 ? `in ${formatDuration(-seconds)}` : seconds < 1 ? 'now' : `${formatDuration(seconds)}${suffix}`;
  return (
    <time dateTime={new Date(time).toISOString()} title={new Date(time).toString()}>
      {text}
    </time>
  );
}

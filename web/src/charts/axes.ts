// Axes of time charts: round ticks in the unit that is shown, times in 24 hours.

import uPlot from 'uplot';
import { formatTicks } from './ticks';
import { token } from './theme';

const FONT = '12px system-ui, sans-serif';
const DAY = 86_400;
const TIMES = [1, 60, 3600].flatMap((unit) => [1, 2, 5, 10, 15, 30].map((n) => n * unit)).concat([6, 12].map((h) => h * 3600));

/** Axis of time. */
export function timeAxis(): uPlot.Axis {
  return {
    font: FONT,
    stroke: () => token('muted'),
    grid: { show: true, width: 1, stroke: () => token('line') },
    ticks: { show: false },
    size: 34,
    gap: 4,
    space: 70,
    values: (_, splits, __, ___, increment) => timeTexts(splits, increment),
  };
}

// Made once: a formatter costs more than all else of an axis.
const DAYS = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const MINUTES = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const SECONDS = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

function timeTexts(splits: number[], increment: number): string[] {
  let day = '';
  return splits.map((seconds) => {
    const date = new Date(seconds * 1000);
    const name = DAYS.format(date);
    if (increment >= DAY) return name;
    const clock = (increment < 60 ? SECONDS : MINUTES).format(date);
    const text = name === day ? clock : `${clock}\n${name}`;
    day = name;
    return text;
  });
}

/** Axis of values with `unit`; of whole numbers while `isWhole`. */
export function valueAxis(unit: string, isWhole: () => boolean): uPlot.Axis {
  const all = increments(unit);
  const whole = all.filter(Number.isInteger);
  return {
    font: FONT,
    stroke: () => token('muted'),
    grid: { show: true, width: 1, stroke: () => token('line') },
    ticks: { show: false },
    gap: 6,
    space: 32,
    incrs: () => (isWhole() ? whole : all),
    size: (u, texts) => {
      if (!texts) return 40;
      u.ctx.font = FONT.replace('12px', `${12 * devicePixelRatio}px`);
      const widths = texts.map((text) => u.ctx.measureText(text).width / devicePixelRatio);
      return Math.ceil(Math.max(24, ...widths)) + 12;
    },
    values: (_, splits) => formatTicks(splits, unit),
  };
}

function increments(unit: string): number[] {
  const decimal: number[] = [];
  for (let power = -12; power < 16; power++) decimal.push(...[1, 2, 2.5, 5].map((n) => Number(`${n}e${power}`)));
  switch (unit) {
    case 'bytes':
    case 'bytes/s':
      return Array.from({ length: 60 }, (_, power) => 2 ** power);
    case 'seconds':
      return [...decimal.filter((n) => n < 60), ...TIMES.filter((n) => n >= 60), ...decimal.map((n) => n * DAY).filter((n) => n >= DAY)];
    default:
      return decimal;
  }
}

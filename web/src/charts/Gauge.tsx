// A value on an arc between two ends, with the thresholds of rules as ticks outside of it.

import { formatValue } from '../components/format';
import { levelOf } from './level';
import type { Threshold } from './model';

interface GaugeProps {
  value: number | null;
  label: string;
  unit?: string;
  min?: number;
  /** End of the scale; by default 100 of percent, 1 of shares, else the next round number. */
  max?: number;
  thresholds?: Threshold[];
}

const RADIUS = 42;
const [START, END] = [-120, 120];

export function Gauge({ value, label, unit = '', min = 0, max, thresholds = [] }: GaugeProps) {
  const top = max ?? endOf(unit, value, thresholds);
  const angle = (at: number) => START + ((Math.min(top, Math.max(min, at)) - min) / (top - min || 1)) * (END - START);
  const level = levelOf(value, thresholds);
  const text = formatValue(value, unit);
  return (
    <svg
      class={`gauge ${level}`}
      viewBox="0 0 120 96"
      role="meter"
      aria-label={label}
      aria-valuemin={min}
      aria-valuemax={top}
      aria-valuenow={value ?? undefined}
      aria-valuetext={level === 'ok' || level === 'unknown' ? text : `${text}, ${level}`}
    >
      <path class="track" d={arc(START, END)} />
      {value !== null && value > min && <path class="value" d={arc(START, angle(value))} />}
      {thresholds
        .filter((one) => one.value > min && one.value < top)
        .map((one) => (
          <path key={one.rule + one.severity} class={`tick ${one.severity}`} d={tick(angle(one.value))}>
            <title>{`${one.rule}: ${one.severity} ${one.above ? 'above' : 'below'} ${formatValue(one.value, unit)}`}</title>
          </path>
        ))}
      <text x="60" y="58" class={text.length > 6 ? 'figure long' : 'figure'}>
        {text}
      </text>
      {level !== 'ok' && level !== 'unknown' && (
        <text x="60" y="76" class="word">
          {level}
        </text>
      )}
    </svg>
  );
}

function endOf(unit: string, value: number | null, thresholds: Threshold[]): number {
  if (unit === 'percent') return 100;
  if (unit === 'ratio') return 1;
  const most = Math.max(value ?? 0, ...thresholds.map((one) => one.value), 1e-9);
  const power = 10 ** Math.floor(Math.log10(most));
  return ([1, 2, 5].find((step) => step * power >= most * 1.05) ?? 10) * power;
}

function point(angle: number, radius: number): string {
  const radians = ((angle - 90) * Math.PI) / 180;
  return `${(60 + radius * Math.cos(radians)).toFixed(2)},${(54 + radius * Math.sin(radians)).toFixed(2)}`;
}

function arc(from: number, to: number): string {
  return `M${point(from, RADIUS)}A${RADIUS},${RADIUS} 0 ${to - from > 180 ? 1 : 0} 1 ${point(to, RADIUS)}`;
}

function tick(angle: number): string {
  return `M${point(angle, RADIUS + 6)}L${point(angle, RADIUS + 10)}`;
}

// A horizontal bar for each series, largest first.

import { formatValue } from '../components/format';
import { levelOf } from './level';
import type { Threshold } from './model';

interface BarsProps {
  bars: { name: string; value: number | null }[];
  label: string;
  unit?: string;
  /** End of the scale; by default 100 of percent, 1 of shares, else the largest value. */
  max?: number;
  thresholds?: Threshold[];
}

export function Bars({ bars, label, unit = '', max, thresholds = [] }: BarsProps) {
  const end = max ?? (unit === 'percent' ? 100 : unit === 'ratio' ? 1 : Math.max(...bars.map((bar) => bar.value ?? 0), 1e-9));
  const width = (value: number) => `${Math.max(0, Math.min(100, (value / end) * 100))}%`;
  const sorted = [...bars].sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity));
  return (
    <ul class="bars" aria-label={label} tabIndex={0}>
      {sorted.map(({ name, value }) => {
        const level = levelOf(value, thresholds);
        return (
          <li key={name} class={level}>
            <span class="name" title={name}>
              {name}
            </span>
            <b>
              {formatValue(value, unit)}
              {level !== 'ok' && level !== 'unknown' && <em> {level}</em>}
            </b>
            <div class="track">
              {value !== null && <div class="value" style={{ width: width(value) }} />}
              {thresholds
                .filter((one) => one.value < end)
                .map((one) => (
                  <i
                    key={one.rule + one.severity}
                    class={`tick ${one.severity}`}
                    style={{ left: width(one.value) }}
                    title={`${one.rule}: ${one.severity} ${one.above ? 'above' : 'below'} ${formatValue(one.value, unit)}`}
                  />
                ))}
            </div>
          </li>
        );
      })}
    </ul>
  );
}

// One figure, its state, and its trend.

import { formatValue } from '../components/format';
import { levelOf } from './level';
import type { Threshold } from './model';
import { Sparkline } from './Sparkline';

interface StatProps {
  value: number | null;
  unit?: string;
  /** Name of the series, where several figures stand beside each other. */
  name?: string;
  /** Word in place of the value: `up`. */
  word?: string | undefined;
  thresholds?: Threshold[];
  trend?: ArrayLike<number | null> | undefined;
}

export function Stat({ value, unit = '', name, word, thresholds = [], trend }: StatProps) {
  const level = levelOf(value, thresholds);
  const alarmed = level !== 'ok' && level !== 'unknown';
  return (
    <div class={`stat ${thresholds.length > 0 ? level : ''}`}>
      {name && (
        <span class="name" title={name}>
          {name}
        </span>
      )}
      <b>{word ?? formatValue(value, unit)}</b>
      {alarmed && <em>{level}</em>}
      {trend && trend.length > 1 && <Sparkline values={trend} />}
    </div>
  );
}

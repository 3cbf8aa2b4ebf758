// Shares of a whole as a ring, with their names, values and percentages beside it.

import { formatValue } from '../components/format';
import { stylesOf } from './palette';

export interface Slice {
  name: string;
  value: number;
}

const MOST_SLICES = 8;
const RADIUS = 40;
const LENGTH = 2 * Math.PI * RADIUS;

export function Pie({ slices, label, unit = '' }: { slices: Slice[]; label: string; unit?: string }) {
  const shown = largest(slices);
  const sum = shown.reduce((sum, slice) => sum + slice.value, 0);
  const styles = stylesOf(shown.map((slice) => slice.name));
  let before = 0;
  const rings = shown.map((slice, i) => {
    const length = sum > 0 ? (slice.value / sum) * LENGTH : 0;
    const ring = (
      <circle
        key={slice.name}
        class={`slice series-${styles[i]!.color}`}
        cx="60"
        cy="60"
        r={RADIUS}
        stroke-dasharray={`${Math.max(0, length - 1)} ${LENGTH}`}
        stroke-dashoffset={-before}
      />
    );
    before += length;
    return ring;
  });
  return (
    <div class="pie" role="group" aria-label={label} tabIndex={0}>
      <svg viewBox="0 0 120 120" role="img" aria-label={`${label}: ${formatValue(sum, unit)} in ${shown.length} parts`}>
        <circle class="track" cx="60" cy="60" r={RADIUS} />
        <g transform="rotate(-90 60 60)">{rings}</g>
        <text x="60" y="65" class="figure">
          {formatValue(sum, unit)}
        </text>
      </svg>
      <table>
        <tbody>
          {shown.map((slice, i) => (
            <tr key={slice.name}>
              <th scope="row">
                <i class={`swatch series-${styles[i]!.color}`} />
                {slice.name}
              </th>
              <td>{formatValue(slice.value, unit)}</td>
              <td>{formatValue(sum > 0 ? slice.value / sum : null, 'ratio')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Returns the largest slices; the rest are one. Values that are no share of a whole are left out. */
export function largest(slices: Slice[]): Slice[] {
  const sorted = slices.filter((slice) => slice.value > 0 && Number.isFinite(slice.value)).sort((a, b) => b.value - a.value);
  if (sorted.length <= MOST_SLICES) return sorted;
  const rest = sorted.slice(MOST_SLICES - 1);
  const value = rest.reduce((sum, slice) => sum + slice.value, 0);
  return [...sorted.slice(0, MOST_SLICES - 1), { name: `${rest.length} others`, value }];
}

// Legend of a time chart: a table of figures. A click isolates a series, Ctrl-click adds one.

import { useState } from 'preact/hooks';
import type { Stats } from './align';
import { formatValue } from '../components/format';
import type { Style } from './palette';

export interface LegendRow {
  /** Index of the series in the chart. */
  index: number;
  name: string;
  style: Style;
  dashed: boolean;
  stats: Stats;
}

interface LegendProps {
  rows: LegendRow[];
  unit: string;
  /** Indices of the series that are shown; null is all. */
  shown: ReadonlySet<number> | null;
  setShown: (shown: ReadonlySet<number> | null) => void;
  /** Without a visible form it is there for screen readers. */
  form: 'table' | 'list' | 'none';
}

const FIGURES = ['last', 'min', 'mean', 'max'] as const;

type Column = 'name' | (typeof FIGURES)[number];
type Sort = { by: Column; down: boolean } | null;

export function Legend({ rows, unit, shown, setShown, form }: LegendProps) {
  const [sort, setSort] = useState<Sort>(null);
  const select = (index: number, event: MouseEvent) => setShown(selection(shown, index, event.ctrlKey || event.metaKey));
  return (
    <div class={`chart-legend ${form}`} tabIndex={form === 'none' ? undefined : -1}>
      <table>
        <thead>
          <tr>
            {(['name', ...FIGURES] as Column[]).map((column) => (
              <th key={column} scope="col" aria-sort={sort?.by === column ? (sort.down ? 'descending' : 'ascending') : 'none'}>
                <button type="button" class="plain" tabIndex={form === 'table' ? 0 : -1} onClick={() => setSort(nextSort(sort, column))}>
                  {column === 'name' ? 'Series' : column}
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted(rows, sort).map(({ index, name, style, dashed, stats }) => (
            <tr key={index} class={shown && !shown.has(index) ? 'off' : ''}>
              <th scope="row">
                <button
                  type="button"
                  class="plain"
                  tabIndex={form === 'none' ? -1 : 0}
                  aria-pressed={shown?.has(index) ?? false}
                  title={`${name}\nClick: only this series. Ctrl-click: add or remove`}
                  onClick={(event) => select(index, event)}
                >
                  <i class={`swatch series-${style.color} ${dashed ? 'dashed' : ''}`} />
                  {name}
                </button>
              </th>
              {FIGURES.map((figure) => (
                <td key={figure}>{formatValue(stats[figure], unit)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Returns the selection after a click; one of nothing is null, which is everything. */
export function selection(shown: ReadonlySet<number> | null, index: number, add: boolean): ReadonlySet<number> | null {
  if (!add) return shown?.size === 1 && shown.has(index) ? null : new Set([index]);
  const next = new Set(shown ?? []);
  if (!next.delete(index)) next.add(index);
  return next.size === 0 ? null : next;
}

/** Figures go down first, names up; the third click on a column is the order of the query. */
function nextSort(sort: Sort, by: Column): Sort {
  const first = by !== 'name';
  if (sort?.by !== by) return { by, down: first };
  return sort.down === first ? { by, down: !first } : null;
}

function sorted(rows: LegendRow[], sort: Sort): LegendRow[] {
  if (!sort) return rows;
  const { by } = sort;
  const compare = (a: LegendRow, b: LegendRow) =>
    by === 'name' ? a.name.localeCompare(b.name) : (a.stats[by] ?? -Infinity) - (b.stats[by] ?? -Infinity);
  return [...rows].sort((a, b) => (sort.down ? compare(b, a) : compare(a, b)));
}

// A uPlot that follows its properties: rebuilt if its series are others, else given the new data.

import uPlot from 'uplot';
import { type Aligned, type Column, columnsOf, decimate, stack } from './align';
import { timeAxis, valueAxis } from './axes';
import { addGestures, cursorOptions, type Gestures, type OnRange, zoomToSelection } from './gestures';
import type { Band, Mark, Series, Threshold, TimeRange } from './model';
import { drawMarks, drawThresholds, placeMarks } from './overlay';
import { colorOf, translucent, type Style } from './palette';
import { theme } from '../store/theme';
import { token } from './theme';
import { Tip } from './tip';

export interface PlotProps {
  /** Name for screen readers. */
  title: string;
  series: Series[];
  range: TimeRange;
  /** Seconds between two samples; a longer distance is drawn as a gap. */
  step?: number;
  unit?: string;
  /** Areas on top of each other, for parts of a sum. */
  stacked?: boolean;
  thresholds?: Threshold[];
  marks?: Mark[];
  bands?: Band[];
  /** Ends of the value axis; by default those of the data. */
  min?: number;
  max?: number;
  onRange?: OnRange;
  /** Charts with one key share the cursor; null shares it with none. */
  syncKey?: string | null;
}

export interface PlotState extends PlotProps {
  styles: Style[];
  /** Indices of the series to show; null is all. */
  shown: ReadonlySet<number> | null;
  size: { width: number; height: number };
}

const FILLED_SERIES = 4;

export class Plot {
  private chart: uPlot | undefined;
  private structure = '';
  private state!: PlotState;
  /** Values as they are, not stacked. */
  private columns: Aligned['columns'] = [];
  /** True if all values are whole numbers, as counts are. */
  private isWhole = false;
  private readonly tip = new Tip(() => this.state.unit ?? '');
  private readonly gestures: Gestures = { range: () => this.state.range, onRange: () => this.state.onRange };

  constructor(private readonly host: HTMLElement) {}

  /** Draws `state`. */
  update(state: PlotState): void {
    const former = this.state as PlotState | undefined;
    this.state = state;
    if (state.size.width < 40 || state.size.height < 30) return;
    const structure = JSON.stringify([
      state.series.map((s) => [s.name, s.predicted]),
      state.bands?.length,
      state.stacked,
      state.unit,
      state.syncKey,
      theme.value,
    ]);
    if (structure !== this.structure || !this.chart) return this.build(structure);
    const { chart } = this;
    if (former?.size.width !== state.size.width || former.size.height !== state.size.height) chart.setSize(state.size);
    chart.batch(() => {
      if (former?.shown !== state.shown) state.series.forEach((_, i) => chart.setSeries(i + 1, { show: this.isShown(i) }));
      chart.setData(this.data());
    });
  }

  destroy(): void {
    this.chart?.destroy();
    this.chart = undefined;
  }

  private build(structure: string): void {
    this.destroy();
    this.structure = structure;
    this.chart = new uPlot(this.options(), this.data(), this.host);
    this.chart.over.setAttribute('role', 'group');
    this.chart.over.setAttribute('aria-label', `${this.state.title}: arrow keys move the cursor, plus and minus zoom, 0 goes back`);
    this.tip.attach(this.chart);
    addGestures(this.chart, this.gestures);
  }

  private isShown(index: number): boolean {
    return this.state.shown === null || this.state.shown.has(index);
  }

  private data(): uPlot.AlignedData {
    const { series, bands = [], step, stacked, range, size } = this.state;
    const all = columnsOf(series, bands, step);
    const { times, columns } = decimate(all, range.from, range.to, Math.round(size.width * devicePixelRatio));
    this.columns = columns;
    this.isWhole = columns.every(isWholeColumn);
    if (!stacked) return [times, ...columns] as uPlot.AlignedData;
    const shown = columns.slice(0, series.length).map((column, i) => (this.isShown(i) ? column : Array.from(column, () => null)));
    return [times, ...stack(shown), ...columns.slice(series.length)] as uPlot.AlignedData;
  }

  private options(): uPlot.Options {
    const { series, bands = [], unit = '', size, syncKey = 'page' } = this.state;
    return {
      ...size,
      padding: [8, 18, 0, 0],
      legend: { show: false },
      scales: {
        x: { range: () => [this.state.range.from, this.state.range.to] },
        y: { range: (_, low, high) => this.valueRange(low, high) },
      },
      axes: [timeAxis(), valueAxis(unit, () => unit === '' && this.isWhole)],
      series: [{}, ...series.map((one, i) => this.line(one, i)), ...bands.flatMap(() => [edge(), edge()])],
      bands: [...this.stackedFills(), ...bands.map((_, i) => bandFill(series.length + 1 + 2 * i))],
      cursor: {
        y: false,
        points: { size: 7 },
        ...(syncKey === null
          ? {}
          : { sync: { key: syncKey, setSeries: false, scales: ['x', null], filters: { pub: isMove, sub: isMove } } }),
        ...cursorOptions(this.gestures),
      } as uPlot.Cursor,
      hooks: {
        drawClear: [(u) => drawMarks(u, this.state.marks ?? [], this.state.range.to)],
        draw: [(u) => drawThresholds(u, this.state.thresholds ?? [], unit), (u) => placeMarks(u, this.state.marks ?? [], this.state.range)],
        setSelect: [(u) => zoomToSelection(u, this.state.onRange)],
        setCursor: [(u) => this.showTip(u)],
      },
    };
  }

  private line(series: Series, index: number): uPlot.Series {
    const { color, dash } = this.state.styles[index]!;
    const { stacked, series: all } = this.state;
    const filled = stacked ? index === 0 : !series.predicted && all.length <= FILLED_SERIES;
    return {
      label: series.name,
      show: this.isShown(index),
      width: 1.5,
      stroke: () => colorOf(color),
      dash: series.predicted ? [2, 4] : dash,
      ...(filled && { fill: () => translucent(colorOf(color), stacked ? 30 : 10) }),
      points: { size: 4, filter: isolated },
    };
  }

  private stackedFills(): uPlot.Band[] {
    const { stacked, series, styles } = this.state;
    if (!stacked) return [];
    return series
      .map((_, i) => ({ series: [i + 1, i] as [number, number], fill: () => translucent(colorOf(styles[i]!.color), 30), dir: -1 as const }))
      .slice(1);
  }

  /** Zero is the base of what is not negative; thresholds close to the data are within the scale. */
  private valueRange(dataLow: number | null, dataHigh: number | null): uPlot.Range.MinMax {
    const { min, max, thresholds = [], stacked, unit } = this.state;
    const share = unit === 'percent' || unit === 'ratio';
    let [low, high] = [dataLow ?? 0, dataHigh ?? 1];
    const fromZero = low >= 0 && (stacked || share || low < 0.6 * high || high === low);
    if (fromZero) low = 0;
    const span = high - low || Math.abs(high) || 1;
    for (const { value } of thresholds) {
      if (value > high && value < high + span) high = value;
      if (value < low && value > low - span) low = value;
    }
    if (low === 0 && high === 0) high = 1;
    const pad = 0.08 * (high - low || Math.abs(high));
    return [min ?? (fromZero && low === 0 ? 0 : low - pad), max ?? high + pad];
  }

  private showTip(u: uPlot): void {
    const { idx } = u.cursor;
    if (idx === null || idx === undefined) return;
    const rows = this.state.series.flatMap(({ name }, i) => {
      const value = this.isShown(i) ? this.columns[i]?.[idx] : undefined;
      return typeof value === 'number' ? [{ name, color: colorOf(this.state.styles[i]!.color), value }] : [];
    });
    // A cursor that another chart moves is a line only.
    const own = u.over.matches(':hover') || document.activeElement === u.over;
    this.tip.show(u, u.data[0][idx] ?? 0, own ? rows : []);
  }
}

function isWholeColumn(column: Aligned['columns'][number]): boolean {
  for (let i = 0; i < column.length; i++) if (!Number.isInteger(column[i] ?? 0)) return false;
  return true;
}

function edge(): uPlot.Series {
  return { width: 0, points: { show: false }, stroke: 'transparent' };
}

function bandFill(low: number): uPlot.Band {
  return { series: [low + 1, low], fill: () => translucent(token('muted'), 22) };
}

function isMove(type: string): boolean {
  return type === 'mousemove' || type === 'mouseleave';
}

/** Samples between two gaps have no line and need a point. */
const isolated = ((u: uPlot, seriesIndex: number, show: boolean) => {
  if (show) return null;
  const [first, last] = u.series[seriesIndex]!.idxs!;
  const values = u.data[seriesIndex] as Column;
  const alone: number[] = [];
  let before: number | null = null;
  for (let i = first; i <= last; i++) {
    const value = values[i];
    if (value === undefined) continue;
    if (value !== null && before === null && nextOf(values, i + 1, last) === null) alone.push(i);
    before = value;
  }
  return alone.length > 0 ? alone : null;
}) as uPlot.Series.Points.Filter;

function nextOf(values: Column, from: number, last: number): number | null {
  for (let i = from; i <= last; i++) if (values[i] !== undefined) return values[i]!;
  return null;
}

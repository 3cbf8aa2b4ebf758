// Chart of series over time, with its legend.

import { useEffect, useRef, useState } from 'preact/hooks';
import { formatValue } from '../components/format';
import { theme } from '../store/theme';
import { statsOf } from './align';
import { schedule, watch } from './draw';
import { Legend, type LegendRow } from './Legend';
import { stylesOf } from './palette';
import { Plot, type PlotProps } from './plot';

export interface TimeChartProps extends PlotProps {
  /** Height of the chart without its legend in pixels; by default that of its container. */
  height?: number;
  /** A legend with figures, names only, or none. */
  legend?: 'table' | 'list' | 'none';
}

export function TimeChart(props: TimeChartProps) {
  const { series, title, height, legend = 'table', unit = '' } = props;
  const host = useRef<HTMLDivElement>(null);
  const [shown, setShown] = useState<ReadonlySet<number> | null>(null);
  const styles = stylesOf(series.map((one) => one.name));
  const rows = series.map((one, index): LegendRow => {
    const style = styles[index]!;
    return { index, name: one.name, style, dashed: style.dash.length > 0 || !!one.predicted, stats: statsOf(one) };
  });
  const visible = shown && rows.some(({ index }) => shown.has(index)) ? shown : null;
  usePlot(host, { ...props, styles, shown: visible }, [props, shown, theme.value]);
  return (
    <figure class="time-chart" aria-label={summary(title, rows, unit)}>
      <div ref={host} class="chart-plot" style={height ? { height: `${height}px`, flex: 'none' } : {}} />
      {rows.length === 0 && <p class="chart-empty">No data in this range</p>}
      <Legend {...{ rows, unit, setShown }} shown={visible} form={legend} />
    </figure>
  );
}

type Drawn = PlotProps & Pick<Parameters<Plot['update']>[0], 'styles' | 'shown'>;

/** Draws into the host when `changes` change or its size does. */
function usePlot(host: { current: HTMLDivElement | null }, drawn: Drawn, changes: unknown[]): void {
  const draw = useRef<(() => void) | null>(null);
  const latest = useRef(drawn);
  latest.current = drawn;
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const plot = new Plot(element);
    const sized = () => plot.update({ ...latest.current, size: { width: element.clientWidth, height: element.clientHeight } });
    draw.current = () => schedule(element, sized);
    const stopWatching = watch(element);
    const resized = new ResizeObserver(draw.current);
    resized.observe(element);
    return () => {
      resized.disconnect();
      stopWatching();
      plot.destroy();
    };
  }, []);
  useEffect(() => draw.current?.(), changes);
}

/** Returns a sentence with the newest values. */
function summary(title: string, rows: LegendRow[], unit: string): string {
  if (rows.length === 0) return `${title}: no data`;
  const values = rows.slice(0, 5).map(({ name, stats }) => `${name} ${formatValue(stats.last, unit)}`);
  const more = rows.length > values.length ? ` and ${rows.length - values.length} more` : '';
  return `${title}: ${values.join(', ')}${more}`;
}

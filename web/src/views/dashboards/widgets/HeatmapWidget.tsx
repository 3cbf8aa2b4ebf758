// A histogram over time: series with the label `le`, cumulative, become observations in each bucket.
import { Heatmap } from '../../../charts';
import type { SeriesData } from '../../../store/series';
import { useRangeQueries } from '../data';
import { unitText } from '../model';
import type { WidgetProps } from '.';
import { State } from '../../../components/State';

const POINTS = 120;

export function HeatmapWidget({ title, widget, seen }: WidgetProps) {
  const answer = useRangeQueries(widget.queries, seen, POINTS);
  const { start = 0, end = 1, step = 1 } = answer.grid ?? {};
  const buckets = bucketsOf((answer.data ?? []).flat());
  return (
    <State answer={answer} filled={buckets.bounds.length > 0}>
      {() => <Heatmap title={title} {...buckets} range={{ from: start, to: end }} step={step} unit={unitText(widget.unit)} />}
    </State>
  );
}

/** Returns the observations in each bucket; buckets of one bound are added up. */
export function bucketsOf(series: SeriesData[]): { bounds: number[]; times: number[]; counts: (number | null)[][] } {
  const times = [...new Set(series.flatMap((one) => one.times))].sort((a, b) => a - b);
  const cumulative = new Map<number, Map<number, number>>();
  for (const { labels, times, values } of series) {
    const bound = labels['le'] === '+Inf' ? Infinity : Number(labels['le'] ?? NaN);
    if (Number.isNaN(bound)) continue;
    const at = cumulative.get(bound) ?? new Map<number, number>();
    cumulative.set(bound, at);
    times.forEach((time, i) => at.set(time, (at.get(time) ?? 0) + (values[i] ?? 0)));
  }
  const bounds = [...cumulative.keys()].sort((a, b) => a - b);
  const counts = bounds.map((bound, i) =>
    times.map((time) => {
      const count = cumulative.get(bound)?.get(time);
      const lower = i === 0 ? 0 : (cumulative.get(bounds[i - 1]!)?.get(time) ?? 0);
      return count === undefined ? null : Math.max(0, count - lower);
    }),
  );
  return { bounds, times, counts };
}

// Lines or areas over time, with the alerts of the rules whose thresholds are shown.
import { type Series, TimeChart } from '../../../charts';
import { zoom } from '../../../store/range';
import { namesOf } from '../../../store/range-query';
import type { SeriesData } from '../../../store/series';
import { useRangeQueries } from '../data';
import { marksOf } from '../marks';
import { unitText, type Widget } from '../model';
import { useOverlays } from '../overlays';
import type { WidgetProps } from '.';
import { State } from '../../../components/State';

export function TimeWidget({ title, widget, seen }: WidgetProps) {
  const answer = useRangeQueries(widget.queries, seen);
  const overlays = useOverlays(widget, seen);
  // The range of the data: old lines stay until those of another range are there, and nothing is drawn twice.
  const { start = 0, end = 1, step = 1 } = answer.grid ?? {};
  const until = Math.max(end, overlays.until ?? 0);
  return (
    <State answer={answer} filled>
      {() => (
        <TimeChart
          title={title}
          series={[...seriesOf(widget, answer.data ?? []), ...overlays.series]}
          range={{ from: start, to: until }}
          step={step}
          unit={unitText(widget.unit)}
          stacked={widget.type === 'area'}
          thresholds={widget.thresholds.map((one) => ({ ...one, rule: one.rule ?? title }))}
          marks={marksOf(widget)}
          bands={overlays.bands}
          onRange={zoom}
          {...(widget.min !== null && { min: widget.min })}
          {...(widget.max !== null && { max: widget.max })}
        />
      )}
    </State>
  );
}

/** Returns the series of all queries with their names. */
export function seriesOf(widget: Widget, answers: SeriesData[][]): Series[] {
  return answers.flatMap((all, at) => {
    const query = widget.queries[at];
    const names = namesOf(all, query?.legend, query?.query ?? '');
    return all.map(({ times, values }, index) => ({ name: names[index] ?? '', times, values }));
  });
}

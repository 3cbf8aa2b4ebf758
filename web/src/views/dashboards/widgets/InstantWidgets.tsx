// Widgets of the latest values: bars, shares, gauges and figures.
import { Bars, Gauge, Pie, Stat } from '../../../charts';
import type { LiveSample } from '../../../store/live';
import { namesOf } from '../../../store/range-query';
import type { SeriesData } from '../../../store/series';
import { type Answer, useInstantQueries, useRangeQueries } from '../data';
import { unitText, type Widget } from '../model';
import type { WidgetProps } from '.';
import { State } from '../../../components/State';

interface Latest {
  name: string;
  value: number | null;
  trend?: (number | null)[];
}

const TREND_POINTS = 60;
const MOST_FIGURES = 12;

export function BarWidget({ title, widget, seen }: WidgetProps) {
  const { answer, latest } = useLatest(widget, seen);
  return (
    <State answer={answer} filled={latest.length > 0}>
      {() => <Bars bars={latest} label={title} unit={unitText(widget.unit)} thresholds={thresholdsOf(widget)} {...ends(widget)} />}
    </State>
  );
}

export function PieWidget({ title, widget, seen }: WidgetProps) {
  const { answer, latest } = useLatest(widget, seen);
  const slices = latest.map(({ name, value }) => ({ name, value: value ?? 0 }));
  return (
    <State answer={answer} filled={latest.length > 0}>
      {() => <Pie slices={slices} label={title} unit={unitText(widget.unit)} />}
    </State>
  );
}

export function GaugeWidget({ title, widget, seen }: WidgetProps) {
  const { answer, latest } = useLatest(widget, seen);
  return (
    <State answer={answer} filled={latest.length > 0}>
      {() => (
        <div class="gauges" role="group" aria-label={title} tabIndex={latest.length > 1 ? 0 : -1}>
          {latest.slice(0, MOST_FIGURES).map(({ name, value }) => (
            <div key={name}>
              <Gauge value={value} label={`${title} ${name}`} unit={unitText(widget.unit)} thresholds={thresholdsOf(widget)} {...ends(widget)} />
              {latest.length > 1 && <span>{name}</span>}
            </div>
          ))}
        </div>
      )}
    </State>
  );
}

/** Figures with their trend; an increase over the whole range has none. */
export function StatWidget(props: WidgetProps) {
  const overRange = props.widget.queries.some(({ query }) => query.includes('$__range'));
  return overRange ? <InstantStat {...props} /> : <TrendStat {...props} />;
}

function InstantStat({ title, widget, seen }: WidgetProps) {
  const { answer, latest } = useLatest(widget, seen);
  return <Figures title={title} answer={answer} latest={latest} widget={widget} />;
}

function TrendStat({ title, widget, seen }: WidgetProps) {
  const answer = useRangeQueries(widget.queries, seen, TREND_POINTS);
  const end = answer.grid?.end ?? 0;
  const latest = named<SeriesData>(widget, answer, ({ times, values }) => ({
    // A series that ended before is gone, not frozen.
    value: times.at(-1) === end ? (values.at(-1) ?? null) : null,
    trend: values,
  }));
  return <Figures title={title} answer={answer} latest={latest.filter(({ value }) => value !== null)} widget={widget} />;
}

function Figures({ title, answer, latest, widget }: { title: string; answer: Answer<unknown>; latest: Latest[]; widget: Widget }) {
  const words = Object.keys(widget.words).length > 0;
  return (
    <State answer={answer} filled={latest.length > 0}>
      {() => (
        <div class={`figures ${latest.length > 1 ? 'several' : ''}`} role="group" aria-label={title} tabIndex={latest.length > 1 ? 0 : -1}>
          {latest.slice(0, MOST_FIGURES).map(({ name, value, trend }) => (
            <Stat
              key={name}
              value={value}
              unit={unitText(widget.unit)}
              {...(latest.length > 1 && { name })}
              word={value === null ? undefined : widget.words[String(value)]}
              thresholds={thresholdsOf(widget)}
              trend={words ? undefined : trend}
            />
          ))}
          {latest.length > MOST_FIGURES && <small>{latest.length - MOST_FIGURES} more</small>}
        </div>
      )}
    </State>
  );
}

function useLatest(widget: Widget, seen: boolean): { answer: Answer<LiveSample[]>; latest: Latest[] } {
  const answer = useInstantQueries(widget.queries, seen);
  return { answer, latest: named<LiveSample>(widget, answer, ({ value }) => ({ value: Number.isFinite(value) ? value : null })) };
}

function named<T extends { labels: Record<string, string> }>(widget: Widget, answer: Answer<T[]>, of: (one: T) => Omit<Latest, 'name'>): Latest[] {
  return (answer.data ?? []).flatMap((all, at) => {
    const query = widget.queries[at];
    const names = namesOf(all, query?.legend, query?.query ?? '');
    return all.map((one, index) => ({ name: names[index] ?? '', ...of(one) }));
  });
}

function thresholdsOf(widget: Widget) {
  return widget.thresholds.map((one) => ({ ...one, rule: one.rule ?? 'threshold' }));
}

function ends({ min, max }: Widget): { min?: number; max?: number } {
  return { ...(min !== null && { min }), ...(max !== null && { max }) };
}

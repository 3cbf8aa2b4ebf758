// Analysis that is drawn with the lines of a metric: the expected range, and the forecast.
import { computed, useComputed } from '@preact/signals';
import { withQuery } from '../../api/client';
import type { Labels } from '../../api/types';
import type { Band, Series } from '../../charts';
import { isRelative, range } from '../../store/range';
import type { SeriesData } from '../../store/series';
import { resource, useResource } from '../../store/resource';
import { useRangeQueries } from './data';
import type { Widget } from './model';

export interface Overlays {
  bands: Band[];
  series: Series[];
  /** End of the forecast in Unix seconds. */
  until?: number;
}

const EXPECTED = 'bellwether_anomaly_expected';

/** Metrics that the anomaly detector watches. */
const watched = resource<Labels[]>(() => withQuery('api/v1/series', { 'match[]': `${EXPECTED}{bound="low"}` }), { every: 60 });
const watchedMetrics = computed(() => new Set((watched.state.value.data ?? []).map((labels) => labels['metric'])));

interface Forecast {
  series: { labels: Labels; latest: number | null; seasonal: { hours?: { time: string; value: number; low: number; high: number }[] } }[];
}

/** Returns the overlays of a widget whose query is a metric. */
export function useOverlays(widget: Widget, seen: boolean): Overlays {
  const metric = metricOf(widget);
  const configured = [...watchedMetrics.value].find((name) => name && metric && (metric === name || metric.endsWith(`_${name}`)));
  const expected = widget.overlays.includes('expected') && configured !== undefined;
  const answer = useRangeQueries(expected ? [{ query: `${EXPECTED}{metric="${configured}"}`, legend: null }] : [], seen && expected);
  const forecast = useForecast(seen && widget.overlays.includes('forecast') ? metric : undefined);
  return { ...forecast, bands: [...bandsOf(answer.data?.[0] ?? []), ...forecast.bands] };
}

/** Returns the metric of a widget with one query that is a selector. */
function metricOf({ queries }: Widget): string | undefined {
  const [only, ...others] = queries;
  return others.length > 0 ? undefined : only?.query.match(/^\s*([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?\s*$/)?.[1];
}

/** Pairs the low and the high bound of each series. */
function bandsOf(all: SeriesData[]): Band[] {
  const lows = all.filter(({ labels }) => labels['bound'] === 'low');
  return lows.flatMap((low) => {
    const high = all.find(({ labels }) => labels['bound'] === 'high' && labels['series'] === low.labels['series']);
    if (!high) return [];
    const values = new Map(high.times.map((time, i) => [time, high.values[i] ?? null]));
    return [{ name: 'expected', times: low.times, low: low.values, high: low.times.map((time) => values.get(time) ?? null) }];
  });
}

/** The seasonal forecast, as long as the range ends now: a third of the range, one to 48 hours. */
function useForecast(metric: string | undefined): Overlays {
  const hours = useComputed(() => Math.min(48, Math.max(1, Math.round((range.value.end - range.value.start) / 3 / 3600))));
  const wanted = metric && isRelative.value;
  const loaded = useResource<Forecast>(() => (wanted ? withQuery('api/v1/forecast', { metric, hours: hours.value }) : null), { every: 12 });
  const all = wanted ? (loaded.state.value.data?.series ?? []) : [];
  const bands: Band[] = [];
  const series: Series[] = [];
  for (const { seasonal } of all) {
    if (!seasonal.hours?.length) continue;
    const times = seasonal.hours.map((hour) => Date.parse(hour.time) / 1000);
    bands.push({ name: 'prediction interval', times, low: seasonal.hours.map((hour) => hour.low), high: seasonal.hours.map((hour) => hour.high) });
    series.push({ name: 'forecast', times, values: seasonal.hours.map((hour) => hour.value), predicted: true });
  }
  const until = Math.max(0, ...series.flatMap((one) => one.times[one.times.length - 1] ?? 0));
  return { bands, series, ...(until > 0 && { until }) };
}

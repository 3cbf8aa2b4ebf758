// The host at a glance: a gauge with its sparkline for each resource.
import { Gauge } from '../../charts/Gauge';
import { Sparkline } from '../../charts/Sparkline';
import type { Threshold } from '../../charts/model';
import type { Bottleneck, Bottlenecks, Labels } from '../../api/types';
import type { Resource } from '../../store/resource';
import { useLive } from '../../store/live';
import { onGrid, seriesOf, useRangeQuery } from '../../store/series';
import { Loadable } from '../../components/Loadable';
import { href } from '../../app/router';
import { gaugesOf, type GaugeData } from './bottlenecks';

const POINTS = 60;

export function Gauges({ resource }: { resource: Resource<Bottlenecks> }) {
  return (
    <section class="gauges" aria-label="Host">
      <Loadable
        resource={resource}
        empty={(data) => (gaugesOf(data).length === 0 ? 'Gauges appear once the collectors have run, and for the metrics that are configured.' : null)}
      >
        {(data) => gaugesOf(data).map((gauge) => <GaugeCard key={gauge.source.label} {...gauge} />)}
      </Loadable>
    </section>
  );
}

function GaugeCard({ source, worst, labels, others }: GaugeData) {
  const trend = useRangeQuery(worst.promql, POINTS, 3);
  const live = useLive(worst.promql).value?.samples.find(({ labels }) => isSame(labels, worst));
  const all = trend.state.value.data ? seriesOf(trend.state.value.data) : [];
  const series = all.find(({ labels }) => isSame(labels, worst)) ?? all[0];
  const more = others > 0 ? `, highest of ${others + 1}` : '';
  return (
    <a class="card gauge-card" href={href('explore', { q1: worst.promql })} title={`${worst.promql}\n${worst.unit}${more}`}>
      <span class="name">{source.label}</span>
      <Gauge value={live?.value ?? worst.value} label={source.label} unit={source.unit} thresholds={thresholds(worst)} />
      <span class="of muted">{nameOf(labels, others) || '\u00a0'}</span>
      {series ? <Sparkline values={onGrid(series, POINTS)} /> : <span class="no-sparkline" />}
    </a>
  );
}

function thresholds({ name, warning, critical }: Bottleneck): Threshold[] {
  const above = critical > warning;
  return [
    { value: warning, severity: 'warning', rule: name, above },
    { value: critical, severity: 'critical', rule: name, above },
  ];
}

/** Returns the value of the label that tells the series apart, where there are several; pressure names its resource. */
function nameOf(labels: Labels, others: number): string {
  const { resource, scope, window, ...rest } = labels;
  return others > 0 || !resource ? Object.values(rest).join(', ') : [scope, window].filter(Boolean).join(' in ');
}

function isSame(labels: Record<string, string>, { labels: wanted }: Bottleneck): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

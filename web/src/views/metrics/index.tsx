// Every configured metric: last value, age, number of series.
import { useState } from 'preact/hooks';
import type { Health, Metric, MetricValue } from '../../api/types';
import { Sparkline } from '../../charts/Sparkline';
import { summary } from '../../store/agent';
import { useResource } from '../../store/resource';
import { onGrid, seriesOf, useRangeQuery } from '../../store/series';
import { href, queryOf, setQuery } from '../../app/router';
import { Filter, hasWords } from '../../components/Filter';
import { Loadable } from '../../components/Loadable';
import { MISSING, formatDuration, formatLabels, formatValue, sampleValue, unitOf } from '../../components/format';
import { Icon } from '../../components/Icon';

interface Answer {
  metrics: Metric[];
  series: number;
  truncated: boolean;
}

/** Series whose values are asked for; a metric beyond them shows its count. */
const LIMIT = 2000;

export default function Metrics() {
  const metrics = useResource<Answer>(() => `api/v1/metrics?limit=${LIMIT}`, { every: 2 });
  return (
    <>
      <h1 class="hidden">Metrics</h1>
      <Loadable resource={metrics} lines={10}>
        {(data) => <Table data={data} />}
      </Loadable>
    </>
  );
}

const ORDERS: Record<string, (a: Metric, b: Metric) => number> = {
  name: (a, b) => a.exportedName.localeCompare(b.exportedName),
  collector: (a, b) => a.collector.localeCompare(b.collector) || a.exportedName.localeCompare(b.exportedName),
  type: (a, b) => a.type.localeCompare(b.type) || a.exportedName.localeCompare(b.exportedName),
  series: (a, b) => b.series - a.series,
};

function Table({ data }: { data: Answer }) {
  const wanted = hasWords(queryOf('q') ?? '');
  const order = queryOf('sort') ?? 'name';
  const own = queryOf('own') === 'show';
  const isOwn = (metric: Metric) => metric.collector === 'self';
  const shown = data.metrics
    .filter((metric) => own || queryOf('q') || !isOwn(metric))
    .filter((metric) => wanted(`${metric.exportedName} ${metric.name} ${metric.help} ${metric.collector} ${metric.type}`))
    .sort(ORDERS[order] ?? ORDERS.name);
  const column = (name: string, title: string, side = '') => (
    <th class={side} aria-sort={order === name ? 'ascending' : undefined}>
      <button type="button" class="plain" onClick={() => setQuery({ sort: name === 'name' ? null : name })}>
        {title} {order === name && <Icon name="down" size={12} />}
      </button>
    </th>
  );
  return (
    <section aria-labelledby="metrics">
      <header class="bar">
        <h2 id="metrics">
          {data.metrics.length} metrics, {data.series} series{shown.length < data.metrics.length && `; ${shown.length} shown`}
        </h2>
        <Filter label="Filter metrics" placeholder="Name, help, collector" />
        <button type="button" aria-pressed={own} onClick={() => setQuery({ own: own ? null : 'show' })}>
          Self-metrics <span class="num muted">{data.metrics.filter(isOwn).length}</span>
        </button>
      </header>
      <div class="card flush scroll">
        <table class="rows">
          <thead>
            <tr>
              {column('name', 'Metric')}
              {column('type', 'Type')}
              {column('collector', 'Collector')}
              {column('series', 'Series', 'right')}
              <th class="right">Last value</th>
              <th class="right">Age</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((metric) => (
              <Row key={metric.exportedName} metric={metric} health={summary.state.value.data?.health} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

const SHOWN_SERIES = 50;

function Row({ metric, health }: { metric: Metric; health: Health | undefined }) {
  const [open, setOpen] = useState(false);
  const age = health?.collectors[metric.collector]?.ageSeconds;
  const stale = age !== null && age !== undefined && age > 3 * metric.intervalSeconds + 5;
  const [first] = metric.values;
  return (
    <>
      <tr>
        <td>
          <button type="button" class="plain toggle" aria-expanded={open} aria-label={`Series of ${metric.exportedName}`} onClick={() => setOpen(!open)}>
            <Icon name={open ? 'down' : 'right'} size={12} />
          </button>
          <a class="mono" href={href('explore', { q1: metric.exportedName })}>
            {metric.exportedName}
          </a>
          <span class="help muted small">{metric.help}</span>
        </td>
        <td class="muted">{metric.type}</td>
        <td>{metric.collector}</td>
        <td class="right num" data-label="series">{metric.series}</td>
        <td class="right num" data-label="last">{metric.series === 1 && first ? valueOf(metric, first) : metric.series === 0 ? 'no data yet' : ''}</td>
        <td class={`right num ${stale ? 'tone-warning' : 'muted'}`} data-label="age">{age === null || age === undefined ? MISSING : `${stale ? 'stale, ' : ''}${formatDuration(age)}`}</td>
      </tr>
      {open && (
        <tr class="series">
          <td colSpan={6}>
            <Series metric={metric} />
          </td>
        </tr>
      )}
    </>
  );
}

const POINTS = 100;

function Series({ metric }: { metric: Metric }) {
  const query = metric.type === 'gauge' ? metric.exportedName : metric.type === 'counter' ? `rate(${metric.exportedName}[5m])` : null;
  const trends = useRangeQuery(query, POINTS, 6);
  const series = trends.state.value.data ? seriesOf(trends.state.value.data) : [];
  return (
    <ul class="series-list">
      {metric.values.slice(0, SHOWN_SERIES).map((value) => {
        const trend = series.find(({ labels }) => Object.entries(value.labels).every(([name, text]) => labels[name] === text));
        return (
          <li key={formatLabels(value.labels)}>
            <span class="mono">{formatLabels(value.labels) || '{}'}</span>
            <b class="num">{valueOf(metric, value)}</b>
            {trend && <Sparkline values={onGrid(trend, POINTS)} />}
          </li>
        );
      })}
      {metric.series > SHOWN_SERIES && <li class="muted">{metric.series - Math.min(SHOWN_SERIES, metric.values.length)} more; Explore has all</li>}
    </ul>
  );
}

function valueOf(metric: Metric, value: MetricValue): string {
  const unit = unitOf(metric.exportedName);
  if (value.count !== undefined) {
    const mean = value.count > 0 && value.sum !== undefined ? `, mean ${formatValue(value.sum / value.count, unit)}` : '';
    return `${formatValue(value.count)} observations${mean}`;
  }
  return value.value === null || value.value === undefined ? MISSING : formatValue(sampleValue(value.value), unit);
}

// The value of a rule over time, with its threshold and its transitions.
import { withQuery } from '../../api/client';
import type { HistoryRecord, Labels, Metric, Rule } from '../../api/types';
import { TimeChart } from '../../charts/TimeChart';
import type { Mark, Series, Severity, Threshold } from '../../charts/model';
import { range, stepFor, zoom } from '../../store/range';
import { comparisonOf, isSeriesOf, metricOf, subjectOf } from '../../store/rules';
import { useResource } from '../../store/resource';
import { seriesOf, useRangeQuery, type SeriesData } from '../../store/series';
import { Card } from '../../components/Card';
import { Loadable } from '../../components/Loadable';
import { formatLabels, unitOf } from '../../components/format';
import { href } from '../../app/router';

interface Props {
  rule: Rule;
  /** Labels of one alert, whose series alone are shown. */
  labels?: Labels;
  history?: HistoryRecord[];
}

const POINTS = 400;
const MOST_SERIES = 12;

export function ValueChart({ rule, labels, history = [] }: Props) {
  const comparison = comparisonOf(rule.query);
  const subject = comparison ? null : subjectOf(rule.condition ?? '');
  const exported = useResource<{ metrics: Metric[] }>(() => (subject ? withQuery('api/v1/metrics', { metric: subject.metric, limit: 0 }) : null), { every: 1000 });
  const query = comparison?.value ?? exported.state.value.data?.metrics[0]?.exportedName ?? (subject || rule.query === rule.condition ? null : rule.query);
  const target = comparison ?? (subject?.target ? { threshold: subject.target, operator: '>' } : null);
  const values = useRangeQuery(query, POINTS, 2);
  if (query === null) return null;
  const unit = unitOf(metricOf(query));
  const { start, end } = range.value;
  return (
    <Card title="Value" actions={<a href={href('explore', { q1: query })}>Explore</a>}>
      <Loadable resource={values} empty={(data) => (data.result.length === 0 ? 'No samples in this time range' : null)}>
        {(data) => (
          <TimeChart
            title={`Value of ${rule.name}`}
            series={chosen(seriesOf(data), labels)}
            range={{ from: start, to: end }}
            step={stepFor(POINTS)}
            unit={unit}
            thresholds={target ? thresholds(rule, target.threshold, target.operator.startsWith('>')) : []}
            marks={marks(history, start, end)}
            onRange={zoom}
            height={220}
          />
        )}
      </Loadable>
    </Card>
  );
}

function chosen(all: SeriesData[], labels: Labels | undefined): Series[] {
  const own = labels ? all.filter((series) => isSeriesOf(series.labels, labels)) : all;
  const shown = (own.length > 0 ? own : all).slice(0, MOST_SERIES);
  return shown.map(({ labels, times, values }) => ({ name: nameOf(labels), times, values }));
}

function nameOf(labels: Labels): string {
  return `${labels.__name__ ?? ''}${formatLabels(labels)}` || 'value';
}

function thresholds(rule: Rule, value: number, above: boolean): Threshold[] {
  return [{ value, above, rule: rule.name, severity: severityOf(rule.labels.severity) }];
}

/** Times at which the alert became firing, with its end where it is known. */
function marks(history: HistoryRecord[], start: number, end: number): Mark[] {
  const ascending = [...history].reverse();
  return ascending.flatMap((record, index): Mark[] => {
    const time = Date.parse(record.at) / 1000;
    if (record.event !== 'firing' || time > end) return [];
    const resolved = ascending.slice(index).find((later) => later.event === 'resolved' && later.fingerprint === record.fingerprint);
    const until = resolved ? Date.parse(resolved.at) / 1000 : end;
    if (until < start) return [];
    return [{ time, until, severity: severityOf(record.severity), label: `${record.alertname} ${record.event}: ${record.reason}`, href: href(`alerts/${record.fingerprint}`) }];
  });
}

function severityOf(text: string | undefined): Severity {
  return text === 'info' || text === 'critical' || text === 'emergency' ? text : 'warning';
}

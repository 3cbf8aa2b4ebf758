// The value of a rule over time, with its threshold and its transitions.
import { useState } from 'preact/hooks';
import { withQuery } from '../../api/client';
import type { Backtest, BacktestOutcome, HistoryRecord, Labels, Metric, Rule } from '../../api/types';
import { TimeChart } from '../../charts/TimeChart';
import type { Mark, Series, Severity, Threshold } from '../../charts/model';
import { useSeries } from '../../store/follower';
import { zoom } from '../../store/range';
import { comparisonOf, isSeriesOf, levelsOf, metricOf, subjectOf } from '../../store/rules';
import { useResource } from '../../store/resource';
import type { SeriesData } from '../../store/series';
import { Card } from '../../components/Card';
import { State } from '../../components/State';
import { formatLabels, unitOf } from '../../components/format';
import { href } from '../../app/router';

interface Props {
  rule: Rule;
  /** Labels of one alert, whose series alone are shown. */
  labels?: Labels;
  history?: HistoryRecord[];
  /** A changed rule over history, whose alerts are shown in place of the transitions. */
  backtest?: Backtest | null;
}

const POINTS = 400;
const MOST_SERIES = 12;

export function ValueChart({ rule, labels, history = [], backtest = null }: Props) {
  const [ofToday, setOfToday] = useState(false);
  const comparison = comparisonOf(rule.query);
  const subject = comparison ? null : subjectOf(rule.condition ?? '');
  const exported = useResource<{ metrics: Metric[] }>(() => (subject ? withQuery('api/v1/metrics', { metric: subject.metric, limit: 0 }) : null), { every: 1000 });
  const query = comparison?.value ?? exported.state.value.data?.metrics[0]?.exportedName ?? (subject || rule.query === rule.condition ? null : rule.query);
  const { data, errors, grid } = useSeries(query === null ? [] : [query], POINTS);
  if (query === null) return null;
  const { start = 0, end = 1, step = 1 } = grid ?? {};
  const [series] = data;
  const outcome = ofToday ? backtest?.before : backtest?.after;
  return (
    <Card
      title={backtest ? `Value, with the alerts of ${ofToday ? "today's rule" : 'the changed rule'}` : 'Value'}
      actions={
        <>
          {backtest?.before && (
            <button type="button" aria-pressed={ofToday} onClick={() => setOfToday(!ofToday)}>
              Today's rule
            </button>
          )}
          <a href={href('explore', { q1: query })}>Explore</a>
        </>
      }
    >
      <State answer={{ data: series, error: errors[0] }} filled>
        {() => (
          <TimeChart
            title={`Value of ${rule.name}`}
            series={chosen(series ?? [], labels)}
            range={{ from: start, to: end }}
            step={step}
            unit={unitOf(metricOf(query))}
            thresholds={thresholdsOf(rule, outcome?.rules[0]?.condition ?? rule.condition ?? rule.query)}
            marks={outcome ? episodeMarks(outcome) : marks(history, start, end)}
            onRange={zoom}
            height={220}
          />
        )}
      </State>
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

/** Returns the thresholds of a condition, one for each of its levels. */
function thresholdsOf({ name, query, labels }: Rule, condition: string): Threshold[] {
  const single = comparisonOf(condition) ?? comparisonOf(query);
  const target = single?.threshold ?? subjectOf(condition)?.target ?? null;
  const levels = levelsOf(condition);
  const all = levels.length > 0 || target === null ? levels : [{ threshold: target, severity: labels.severity }];
  const above = !single?.operator.startsWith('<');
  return all.map(({ threshold, severity }) => ({ value: threshold, above, rule: name, severity: severityOf(severity) }));
}

/** Times in which a rule would have fired. */
function episodeMarks({ rules, to }: BacktestOutcome): Mark[] {
  return rules.flatMap(({ name, episodes }) =>
    episodes.map(({ firedAt, resolvedAt, severity, reason }) => ({
      time: Date.parse(firedAt) / 1000,
      until: Date.parse(resolvedAt ?? to) / 1000,
      severity: severityOf(severity),
      label: `${name} would have fired: ${reason}`,
    })),
  );
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

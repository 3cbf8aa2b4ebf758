// A first test of a rule, to be changed: its value crosses the threshold, and its alert fires.
import type { Labels, Rule } from '../../api/types';
import { comparisonOf } from '../../store/rules';

/** Returns a test file with one test of the rule. */
export function exampleOf({ name, query, duration = 0, labels, annotations = {} }: Rule): string {
  const { value = '', operator = '>', threshold = 0 } = comparisonOf(query) ?? {};
  const isMetric = /^[a-zA-Z_:][\w:]*(\{.*\})?$/.test(value);
  const [bad, good] = operator.startsWith('<') ? [threshold - step(threshold), threshold + step(threshold)] : [threshold + step(threshold), threshold - step(threshold)];
  const minutes = Math.ceil(duration / 60) + 2;
  const expected = [`exp_labels: ${mapping(labels)}`, ...(Object.keys(annotations).length > 0 ? [`exp_annotations: ${mapping(annotations)}`] : [])];
  return `evaluation_interval: 1m
tests:
  - name: ${name} fires${isMetric ? '' : '   # set the series that it reads'}
    input_series:
      - {series: '${isMetric ? value : 'metric{label="value"}'}', values: '${round(good)} ${round(bad)}x${minutes + 5}'}
    alert_rule_test:
      - {eval_time: 0m, alertname: ${name}, exp_alerts: []}
      - eval_time: ${minutes}m
        alertname: ${name}
        exp_alerts: [{${expected.join(', ')}}]
`;
}

function mapping(texts: Labels): string {
  return `{${Object.entries(texts).map(([name, text]) => `${name}: ${JSON.stringify(text)}`).join(', ')}}`;
}

/** A tenth of the threshold: clearly beyond it, and still a value that it may have. */
function step(threshold: number): number {
  return Math.abs(threshold) / 10 || 1;
}

function round(value: number): number {
  return Number(value.toPrecision(6));
}

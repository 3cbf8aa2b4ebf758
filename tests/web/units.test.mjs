// The parts of the page that are pure functions.
import test from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ROOT } from './agent.mjs';

const WEB = join(ROOT, 'web');
const { build } = createRequire(join(WEB, 'package.json'))('esbuild');

async function load(path) {
  const { outputFiles } = await build({ entryPoints: [join(WEB, 'src', path)], bundle: true, format: 'esm', write: false });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}

const format = await load('components/format.ts');
const { parseMatchers, matches, equalTo } = await load('store/matchers.ts');
const { comparisonOf, isSeriesOf, levelsOf, metricOf, subjectOf } = await load('store/rules.ts');
const { fieldsOf, ruleYaml, withField } = await load('views/rules/yaml.ts');
const { occurrencesOn, recurrenceText, parseDay, mondayOf } = await load('views/silences/occurrences.ts');

test('numbers have their unit, few digits, and a dash where they are missing', () => {
  for (const [value, unit, text] of [
    [null, 'bytes', '–'],
    [NaN, '', '–'],
    [Infinity, '', '+∞'],
    [0.1 + 0.2, '', '0.3'],
    [0, 'percent', '0 %'],
    [99.95, 'percent', '100 %'],
    [0.5, 'ratio', '50 %'],
    [1536, 'bytes', '1.5 KiB'],
    [-2048, 'bytes/s', '-2 KiB/s'],
    [0.0000021, 'seconds', '2.1 µs'],
    [0.0123, 'seconds', '12.3 ms'],
    [67.4, 'milliseconds', '67.4 ms'],
    [11_400, 'seconds', '3 h 10 min'],
    [1_260_000_000, '', '1.26 G'],
    [3102, '', '3102'],
    [1e-7, '', '1.00e-7'],
  ]) {
    assert.equal(format.formatValue(value, unit), text, `${value} ${unit}`);
  }
});

test('the unit of a metric follows from its name', () => {
  for (const [name, unit] of [
    ['node_memory_bytes', 'bytes'],
    ['disk_io_read_bytes_total', 'bytes'],
    ['start_timestamp_seconds', 'timestamp'],
    ['cpu_percent', 'percent'],
    ['queue_length', ''],
  ]) {
    assert.equal(format.unitOf(name), unit, name);
  }
});

test('durations have two units at most', () => {
  for (const [seconds, text] of [[0, '0 s'], [59, '59 s'], [60, '1 min'], [3_725, '1 h 2 min'], [86_400, '1 d'], [90_061, '1 d 1 h'], [-5, '0 s']]) {
    assert.equal(format.formatDuration(seconds), text, seconds);
  }
});

test('matchers are read as Alertmanager reads them', () => {
  const labels = { alertname: 'backlog', queue: 'mail, "fast"', 'odd.name': 'x' };
  for (const [text, expected] of [
    ['alertname="backlog"', true],
    ['{alertname="backlog",queue=~"mail.*"}', true],
    ['alertname=backlog', true],
    ['alertname!="backlog"', false],
    ['queue!~"sms|fax"', true],
    ['queue=~"mai"', false],
    ['missing=""', true],
    ['queue=~"("', false],
    [equalTo(labels), true],
  ]) {
    assert.equal(matches(parseMatchers(text), labels), expected, text);
  }
  for (const text of ['alertname', '=x', 'a="b" c="d"', 'a="b', '{a="b"']) assert.equal(parseMatchers(text), null, text);
  assert.deepEqual(parseMatchers('  '), []);
});

test('a rule is split into its value and its threshold', () => {
  for (const [query, expected] of [
    ['cpu_percent > 85', ['cpu_percent', '>', 85]],
    ['sum by (a) (rate(x{b=">"}[5m])) <= 1e-3', ['sum by (a) (rate(x{b=">"}[5m]))', '<=', 0.001]],
    ['x == 0', ['x', '==', 0]],
    ['x > -4.5', ['x', '>', -4.5]],
  ]) {
    const { value, operator, threshold } = comparisonOf(query);
    assert.deepEqual([value, operator, threshold], expected, query);
  }
  for (const query of ['x > y', 'x > 1 and y > 2', 'absent(x)', 'cpu_percent is anomalous', 'sum(x > 1)']) assert.equal(comparisonOf(query), null, query);
  assert.deepEqual(subjectOf('disk_usage_percent reaches 95 within 4h'), { metric: 'disk_usage_percent', target: 95 });
  assert.deepEqual(subjectOf('cpu_percent is anomalous'), { metric: 'cpu_percent', target: null });
  assert.equal(subjectOf('cpu_percent > 5'), null);
  assert.deepEqual(levelsOf('p95 of x over 5m > 1.5 (warning), 4 (critical)'), [{ threshold: 1.5, severity: 'warning' }, { threshold: 4, severity: 'critical' }]);
  assert.deepEqual(levelsOf('x > 5'), []);
  assert.equal(metricOf('sum by (le, my_label) (rate(app_request_seconds_bucket{a="b_c"}[5m]))'), 'app_request_seconds_bucket');
});

test('the series of an alert is the one with its labels', () => {
  const alert = { alertname: 'a', severity: 'critical', mount_point: '/data' };
  assert.ok(isSeriesOf({ __name__: 'x', mount_point: '/data', host: 'b' }, alert));
  assert.ok(!isSeriesOf({ __name__: 'x', mount_point: '/' }, alert));
});

test('the YAML of one rule is found among others', () => {
  const yaml = ['alerting:', '  channels:', '  - name: full', '    type: log', '  rules:', '  - name: fuller', '    metric: x', '  - duration: 5m', '    name: full', '    metric: y', '    labels: {}', 'other: 1'].join('\n');
  assert.equal(ruleYaml(yaml, 'full'), '- duration: 5m\n  name: full\n  metric: y\n  labels: {}');
  assert.equal(ruleYaml(yaml, 'ful.'), null);
});

test('settings of a rule are found in its YAML, and changed there', () => {
  const yaml = "- name: x\n  condition: '>'\n  thresholds:\n    warning: 1.5\n    critical: 4\n  duration: 5m\n  labels:\n    warning: no\n  resolve_threshold: null";
  const fields = fieldsOf(yaml);
  assert.deepEqual(fields.map(({ name, value }) => [name, value]), [['condition', '>'], ['warning', '1.5'], ['critical', '4'], ['duration', '5m']]);
  assert.equal(withField(yaml, fields[1], '2'), yaml.replace('1.5', '2'));
  assert.equal(withField(yaml, fields[0], '<'), yaml.replace("'>'", '"<"'));
});

test('collections continue the answer of a query on its grid', async (t) => {
  globalThis.document = { baseURI: 'http://agent.example/' };
  const { RangeQuery } = await load('store/range-query.ts');
  delete globalThis.document;
  const labels = { a: '1' };
  const value = (time, value) => ({ time, samples: [{ labels, value }] });
  t.mock.method(globalThis, 'fetch', async () => Response.json({ status: 'success', data: { resultType: 'matrix', result: [{ metric: labels, values: [[0, '1'], [10, '2']] }] } }));
  const query = new RangeQuery();
  assert.equal(query.reaches(5), false);
  await query.ask('x', { start: 0, end: 10, step: 10 });
  assert.deepEqual([query.reaches(29), query.reaches(31)], [true, false]);
  assert.deepEqual(query.append(value(13, 3), 20), [{ labels, times: [0, 10, 13], values: [1, 2, 3] }]);
  assert.deepEqual(query.append(value(18, 4), 20), [{ labels, times: [0, 10, 18], values: [1, 2, 4] }], 'one value between two steps');
  assert.deepEqual(query.append(value(32, 5), 20), [{ labels, times: [20, 30, 32], values: [4, 4, 5] }], 'a step has the value before');
  assert.deepEqual(query.append(value(28, 6), 20), [{ labels, times: [20, 28], values: [4, 6] }], 'nothing is later than the newest');
  assert.deepEqual(query.append(value(32, 5), 20), [{ labels, times: [20, 30, 32], values: [4, 6, 5] }]);
  assert.deepEqual(query.append({ time: 40, samples: [] }, 20), [{ labels, times: [20, 30], values: [4, 6] }], 'a series that is gone ends');
});

const silence = (fields) => ({ id: 'x', matchers: '{}', startsAt: '1970-01-01T00:00:00Z', endsAt: null, comment: '', configured: true, ...fields });
const days = (fields, first, count) =>
  Array.from({ length: count }, (_, index) => occurrencesOn(new Date(2026, first[0] - 1, first[1] + index), [silence(fields)]).map(({ text }) => text));

test('recurring silences are on their days', () => {
  const night = [{ start_time: '01:00', end_time: '05:00' }];
  assert.deepEqual(days({ times: [{ weekdays: ['monday:friday'], times: night }] }, [11, 28], 3), [[], [], ['01:00–05:00']]);
  assert.deepEqual(days({ times: [{ days_of_month: ['-1'] }] }, [11, 29], 3), [[], [''], []]);
  assert.deepEqual(days({ times: [{ months: ['december'], days_of_month: ['1:2'] }] }, [11, 30], 4), [[], [''], [''], []]);
  assert.deepEqual(days({ times: [{ years: ['2025'] }] }, [11, 30], 1), [[]]);
  assert.deepEqual(days({ intervals: ['office_hours'] }, [11, 30], 1), [['during office_hours']]);
  assert.equal(recurrenceText(silence({ times: [{ weekdays: ['sunday'], times: night }], location: 'UTC' })), 'sunday 01:00–05:00 (UTC)');
});

test('a silence with an end is on the days between', () => {
  const at = (day, hour) => new Date(2026, 10, day, hour).toISOString();
  assert.deepEqual(days({ startsAt: at(28, 14), endsAt: at(30, 9) }, [11, 27], 5), [[], ['from 14:00'], [''], ['until 09:00'], []]);
  assert.deepEqual(days({ startsAt: at(28, 0), endsAt: at(29, 0) }, [11, 28], 2), [[''], []]);
});

test('days of the calendar are real days', () => {
  assert.equal(parseDay('2026-02-30'), null);
  assert.equal(parseDay('x'), null);
  assert.equal(format.formatDay(mondayOf(parseDay('2026-11-29'))), '2026-11-23');
});

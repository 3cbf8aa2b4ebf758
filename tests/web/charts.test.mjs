// Pure parts of the page, without a browser: alignment of series, texts of axes, places in YAML.
import test, { before } from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ROOT } from './agent.mjs';

const WEB = join(ROOT, 'web');
const { build } = createRequire(join(WEB, 'package.json'))('esbuild');
let charts;
let config;

/** Bundles modules of the page, and returns what they export. */
async function load(...paths) {
  const contents = paths.map((path) => `export * from ${JSON.stringify(`./src/${path}`)};`).join('\n');
  const { outputFiles } = await build({ stdin: { contents, resolveDir: WEB }, bundle: true, format: 'esm', write: false, absWorkingDir: WEB });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}

before(async () => {
  charts = await load('charts/align.ts', 'charts/ticks.ts');
  config = await load('views/config/yaml-path.ts', 'views/config/schema.ts');
});

test('series of one grid are taken as they are, and a missing step is a gap', () => {
  const times = [10, 20, 30, 60, 70];
  const values = [1, 2, 3, 4, 5];
  const alone = charts.align([{ times, values }], 10);
  assert.deepEqual(alone.times, [10, 20, 30, 35, 60, 70]);
  assert.deepEqual(alone.columns[0], [1, 2, 3, null, 4, 5]);
  const grid = { times: [10, 20, 30, 40, 50, 60, 70], values: [0, 0, 0, 0, 0, 0, 0] };
  const two = charts.align([{ times, values }, grid], 10);
  const [first, second] = two.columns;
  assert.deepEqual(two.times.map((time, i) => [time, first[i]]).filter(([time]) => time > 30 && time < 60), [[35, null], [40, null], [50, null]], 'all of the gap');
  assert.deepEqual(second.filter((value) => value !== undefined), grid.values);
});

test('the lowest and the highest value of each pixel are kept in their order', () => {
  const times = Array.from({ length: 1000 }, (_, i) => i);
  const values = times.map((i) => (i === 503 ? 99 : i === 505 ? -99 : 0));
  const { columns } = charts.decimate({ times, columns: [values] }, 0, 1000, 10);
  assert.equal(columns[0].length, 20);
  assert.deepEqual(columns[0].slice(10, 12), [99, -99]);
  assert.equal(columns[0].filter(Boolean).length, 2);
  assert.equal(charts.decimate({ times, columns: [values] }, 0, 30, 10).columns[0], values, 'few samples stay');
});

test('a gap of a whole pixel stays one', () => {
  const times = Array.from({ length: 1000 }, (_, i) => i);
  const values = times.map((i) => (i >= 300 && i < 400 ? null : 1));
  const { columns } = charts.decimate({ times, columns: [values] }, 0, 1000, 10);
  assert.deepEqual(columns[0].slice(4, 10), [1, 1, null, null, 1, 1]);
});

test('figures of a series are those of its values', () => {
  assert.deepEqual(charts.statsOf({ values: [null, 4, 1, null, 7, null] }), { last: 7, min: 1, mean: 4, max: 7 });
  assert.deepEqual(charts.statsOf({ values: [null] }), { last: null, min: null, mean: null, max: null });
});

test('ticks have one unit and no digits that say nothing', () => {
  assert.deepEqual(charts.formatTicks([0, 0.1, 0.2, 0.30000000000000004]), ['0', '0.1', '0.2', '0.3']);
  assert.deepEqual(charts.formatTicks([0, 2 ** 30, 2 ** 31], 'bytes'), ['0 GiB', '1 GiB', '2 GiB']);
  assert.deepEqual(charts.formatTicks([0, 0.0005, 0.001], 'seconds'), ['0 ms', '0.5 ms', '1.0 ms']);
  assert.deepEqual(charts.formatTicks([0, 0.25, 0.5], 'ratio'), ['0 %', '25 %', '50 %']);
  assert.deepEqual(charts.formatTicks([0, 20_000], 'requests/s'), ['0 k requests/s', '20 k requests/s']);
});

const YAML = `performance_monitor:
  collection_interval: 10s
  alerting:
    rules:
      - name: backlog
        metric: queue_length
        thresholds:
          warning: 5
      # a comment
      - name: other

        severity: critical
    notifications:
      channels:
      - name: log
        type: log
`;

/** Place of the mark `|`. */
function at(text) {
  const lines = text.split('|')[0].split('\n');
  return config.placeAt(lines, lines.at(-1).length);
}

test('a place in YAML is known by its indentation', () => {
  assert.deepEqual(at('|').path, []);
  assert.deepEqual(at('performance_monitor:\n  col|').path, ['performance_monitor']);
  assert.deepEqual(at('performance_monitor:\n  alerting:\n    ru|').path, ['performance_monitor', 'alerting']);
  const before = (line) => `${YAML.slice(0, YAML.indexOf(line))}`;
  const rules = ['performance_monitor', 'alerting', 'rules', null];
  assert.deepEqual(at(`${before('        metric:')}        me|`).path, rules, 'beside the first key of an entry');
  assert.deepEqual(at(`${before('          warning:')}          w|`).path, [...rules, 'thresholds']);
  assert.deepEqual(at(`${before('        severity:')}        se|`).path, rules, 'behind a comment and an empty line');
  assert.deepEqual(at(`${before('      - name: other')}      - na|`).path, rules, 'the first key of an entry');
  assert.deepEqual(at(`${before('        type: log')}        ty|`).path, ['performance_monitor', 'alerting', 'notifications', 'channels', null], 'a list without indentation');
  const value = at(`${before('        severity:')}        severity: cri|`);
  assert.deepEqual([value.path, value.value], [[...rules, 'severity'], true]);
});

test('keys and words come from the schema, through references and alternatives', () => {
  const schema = {
    properties: { list: { type: ['array', 'null'], items: { $ref: '#/$defs/Entry' } } },
    $defs: {
      Entry: {
        properties: { name: { type: ['string'] }, kind: { anyOf: [{ const: 'a', description: 'An A.' }, { const: 'b' }] } },
        required: ['name'],
        allOf: [{ if: {}, then: { properties: { extra: { type: ['object'] } } } }],
      },
    },
  };
  assert.deepEqual(config.keysAt(schema, []).map(({ key, form }) => [key, form]), [['list', 'list']]);
  assert.deepEqual(config.keysAt(schema, ['list', null]).map(({ key }) => key), ['name', 'kind', 'extra']);
  assert.deepEqual(config.valuesAt(schema, ['list', null, 'kind'])[0], { value: 'a', description: 'An A.' });
  assert.deepEqual(config.keysAt(schema, ['unknown']), []);
});

// The pictures of the docs, from the demo: WRITE_IMAGES=1 writes docs/img. Without it they are only taken.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BINARY, ROOT, freePort, until } from './agent.mjs';
import { assertNoOverflow, launch, open, settled } from './browser.mjs';

/** Folder of pictures that are looked at and not committed, such as all sizes and themes. */
const ALL = process.env.IMAGES;

let demo;
let browser;
let encoder;

before(async () => {
  const port = await freePort();
  const process = spawn(BINARY, ['demo', '--listen', `127.0.0.1:${port}`], { stdio: 'ignore' });
  demo = { url: `http://127.0.0.1:${port}`, process };
  browser = await launch();
  encoder = await (await browser.newContext()).newPage();
  await until('the demo is ready', async () => (await fetch(`${demo.url}/-/ready`)).ok, 120_000);
  const answer = await (await fetch(`${demo.url}/api/v1/alerts`)).json();
  demo.alert = answer.data.alerts.find((alert) => alert.state === 'firing' && alert.rule === 'disk_almost_full') ?? answer.data.alerts[0];
});

after(async () => {
  await browser?.close();
  const gone = once(demo.process, 'exit');
  demo.process.kill('SIGTERM');
  await gone;
});

/** Tries a lower threshold over the range. */
async function backtest(page) {
  await page.getByLabel('threshold', { exact: true }).fill('80');
  await page.getByLabel('duration').fill('2m');
  await page.getByRole('button', { name: 'Backtest' }).click();
  await page.getByText("Today's rule fires").waitFor();
}

/** Scrolls to the charts of the host, and waits until they are drawn. */
async function charts(page) {
  await page.getByRole('heading', { name: 'System resources' }).evaluate((heading) => heading.scrollIntoView());
  await page.getByRole('region', { name: 'CPU usage', exact: true }).getByRole('figure').waitFor();
  await page.waitForFunction(() =>
    [...document.querySelectorAll('.widget-loading')].every((one) => one.getBoundingClientRect().top > innerHeight || one.getBoundingClientRect().bottom < 0),
  );
}

/** Waits until charts are drawn, which they are in a frame after their data. */
function drawn(page) {
  return page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

/** Name and path of each picture, and what is done before it. */
const PICTURES = () => [
  ['overview', '?from=now-24h'],
  ['alerts', 'alerts?from=now-24h'],
  ['alert', `alerts/${demo.alert.fingerprint}?from=now-6h`],
  ['dashboards', 'dashboards/bellwether?from=now-24h', charts],
  ['explore', `explore?from=now-24h&q1=${encodeURIComponent('sum by (endpoint) (rate(shop_api_request_count[10m]))')}`, (page) => page.getByRole('button', { name: 'endpoint=/search' }).waitFor()],
  ['rules', 'rules'],
  ['rule', 'rules/high_cpu_usage?from=now-7d', backtest],
  ['notifications', 'notifications?from=now-24h'],
  ['silences', 'silences'],
  ['metrics', 'metrics-list'],
  ['collectors', 'collectors?from=now-5m', (page) => page.getByText('queries of Neo4j succeed').waitFor()],
  ['config', 'config', (page) => page.getByText('No errors').waitFor()],
];

test('pictures of all views', async (t) => {
  for (const [name, path, prepare] of PICTURES()) {
    await t.test(name, async () => {
      const page = await open(browser, demo, path, { size: 'desktop', theme: 'dark' });
      await settled(page);
      await prepare?.(page);
      await drawn(page);
      await page.waitForFunction(() => document.querySelectorAll('main .card, main .wrong').length > 0);
      await assertNoOverflow(page);
      await keep('docs/img', `web-${name}`, await page.screenshot());
      await page.context().close();
    });
  }
  await t.test('phone', async () => {
    const page = await open(browser, demo, 'alerts', { size: 'phone', theme: 'light' });
    await settled(page);
    await keep('docs/img', 'web-phone', await page.screenshot());
    await page.context().close();
  });
});

test('pictures of all views in both themes and three sizes', { skip: !ALL && 'IMAGES names no folder for them' }, async () => {
  for (const [name, path, prepare] of PICTURES()) {
    for (const size of ['desktop', 'phone', 'wall']) {
      for (const theme of ['dark', 'light']) {
        const page = await open(browser, demo, path, { size, theme });
        await settled(page);
        await prepare?.(page);
        await drawn(page);
        await mkdir(ALL, { recursive: true });
        await writeFile(join(ALL, `${name}-${size}-${theme}.png`), await page.screenshot());
        await page.context().close();
      }
    }
  }
});

/** Writes a picture as WebP, which is a third of the size. */
async function keep(folder, name, png) {
  const data = await encoder.evaluate(async (source) => {
    const image = new Image();
    image.src = source;
    await image.decode();
    const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas.toDataURL('image/webp', 0.72);
  }, `data:image/png;base64,${png.toString('base64')}`);
  const content = Buffer.from(data.slice(data.indexOf(',') + 1), 'base64');
  assert.ok(content.length > 5_000, `${name} is empty`);
  if (!process.env.WRITE_IMAGES) return;
  await mkdir(join(ROOT, folder), { recursive: true });
  await writeFile(join(ROOT, folder, `${name}.webp`), content);
}

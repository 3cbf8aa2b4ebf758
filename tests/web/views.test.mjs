// Each view: it shows its data, is accessible, fits its screen, and asks nobody but the agent.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { Agent } from './agent.mjs';
import { assertAccessible, assertClean, assertNoOverflow, launch, open, settled } from './browser.mjs';

let agent;
let browser;
let alert;

before(async () => {
  [agent, browser] = await Promise.all([Agent.start(), launch()]);
  alert = await agent.fire('mail');
  await agent.fire('sms');
});

after(async () => {
  await browser?.close();
  await agent?.stop();
});

/** Path, and a text that only its data bring. */
const VIEWS = () => [
  ['', '310 items wait in mail'],
  ['alerts', '310 items wait in sms'],
  [`alerts/${alert.fingerprint}`, 'https://wiki.example/backlog'],
  ['rules', 'queue_length > 100'],
  ['rules/backlog', 'Value'],
  ['notifications', 'no such room'],
  ['silences', 'nightly backups'],
  ['metrics-list', 'queue_length'],
  ['collectors', 'All 3 collectors run'],
];

for (const size of ['desktop', 'phone', 'wall']) {
  for (const theme of size === 'wall' ? ['dark'] : ['dark', 'light']) {
    test(`views on a ${size} in ${theme}`, async (t) => {
      for (const [path, text] of VIEWS()) {
        await t.test(`/${path}`, async () => {
          const page = await open(browser, agent, path, { size, theme });
          await page.getByText(text).first().waitFor();
          await settled(page);
          await assertNoOverflow(page);
          await assertAccessible(page);
          assertClean(page);
          await page.context().close();
        });
      }
    });
  }
}

test('the address keeps the state of a view over a reload', async () => {
  const page = await open(browser, agent, 'alerts');
  await page.getByRole('searchbox', { name: 'Filter alerts' }).fill('queue_name="mail"');
  await page.waitForURL(/q=queue_name/);
  await page.getByLabel('Severity', { exact: true }).selectOption('critical');
  await page.getByRole('button', { name: 'Time range' }).click();
  await page.getByRole('button', { name: '15 min' }).click();
  await page.reload();
  await page.getByText('310 items wait in mail').waitFor();
  assert.equal(await page.getByText('310 items wait in sms').count(), 0);
  assert.equal(await page.getByLabel('Severity', { exact: true }).inputValue(), 'critical');
  assert.match(page.url(), /from=now-15m/);
  await page.getByRole('link', { name: 'Rules', exact: true }).click();
  assert.match(page.url(), /\/rules\?from=now-15m$/, 'the range stays, the filter is of the view');
  assertClean(page);
  await page.context().close();
});

test('a view of its own address works below a sub-path', async (t) => {
  const { createServer, request } = await import('node:http');
  const proxy = createServer((incoming, outgoing) => {
    if (!incoming.url.startsWith('/monitor/')) return outgoing.writeHead(404).end();
    const up = request(`${agent.url}${incoming.url.slice('/monitor'.length)}`, { method: incoming.method, headers: incoming.headers });
    up.on('response', (answer) => answer.pipe(outgoing.writeHead(answer.statusCode, answer.headers)));
    up.on('error', () => outgoing.destroy());
    incoming.pipe(up);
  });
  await new Promise((done) => proxy.listen(0, '127.0.0.1', done));
  t.after(() => proxy.close().closeAllConnections());
  const behind = { url: `http://127.0.0.1:${proxy.address().port}` };
  const page = await open(browser, behind, `monitor/alerts/${alert.fingerprint}`);
  await page.getByRole('heading', { name: '310 items wait in mail' }).waitFor();
  await page.getByRole('link', { name: 'Rules', exact: true }).click();
  await page.getByText('queue_length > 100').waitFor();
  assert.match(page.url(), /\/monitor\/rules$/);
  await page.reload();
  await page.getByText('queue_length > 100').waitFor();
  assertClean(page);
  await page.context().close();
});

test('keys lead to every view, and the palette finds everything', async () => {
  const page = await open(browser, agent);
  await page.getByText('310 items wait in mail').first().waitFor();
  for (const [key, path] of [['d', 'dashboards'], ['e', 'explore'], ['f', 'config'], ['a', 'alerts'], ['r', 'rules'], ['n', 'notifications'], ['s', 'silences'], ['m', 'metrics-list'], ['c', 'collectors'], ['o', '']]) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await page.waitForURL(`${agent.url}/${path}`);
  }
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await assertAccessible(page);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+k');
  const search = page.getByRole('dialog').getByRole('combobox');
  await search.fill('backlog rule');
  await page.getByRole('option', { name: /backlog/ }).first().waitFor();
  await assertAccessible(page);
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/rules\/backlog$/);
  await page.keyboard.press('Control+k');
  await page.getByRole('dialog').getByRole('combobox').fill('silence backlog mail');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Silence backlog' }).waitFor();
  assertClean(page);
  await page.context().close();
});

test('text is whole at 200 % zoom', async () => {
  for (const [path] of VIEWS()) {
    // A window of half the size shows what a zoom of 200 % does.
    const page = await open(browser, agent, path);
    await page.setViewportSize({ width: 720, height: 450 });
    await settled(page);
    await assertNoOverflow(page);
    await page.context().close();
  }
});

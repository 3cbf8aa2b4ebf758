// Charts and tiles follow the agent by its WebSocket, and poll where they cannot.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { Agent, until } from './agent.mjs';
import { assertClean, launch, open } from './browser.mjs';

let agent;
let browser;

before(async () => {
  [agent, browser] = await Promise.all([Agent.start(), launch()]);
  await agent.setQueue('mail', 5);
});

after(async () => {
  await browser?.close();
  await agent?.stop();
});

const DASHBOARD = 'dashboards/bellwether?from=now-5m';
const QUERY = 'sum(queue_length)';
const EXPLORE = `explore?from=now-5m&q1=${encodeURIComponent(QUERY)}`;
const chart = (page) => page.getByRole('figure');

/** Opens a page, and notes its range queries and the messages of its socket. */
async function watched(path, prepare = async () => {}) {
  const page = await open(browser, agent, 'silences');
  page.asked = [];
  page.sent = [];
  page.sockets = 0;
  page.on('request', (request) => /\/query(_range)?$/.test(new URL(request.url()).pathname) && page.asked.push(request.url()));
  page.on('websocket', (socket) => {
    page.sockets += 1;
    socket.on('framesent', ({ payload }) => page.sent.push(JSON.parse(payload)));
  });
  await prepare(page);
  await page.goto(`${agent.url}/${path}`);
  return page;
}

/** Sets the queue and waits until the chart has the value. */
async function shows(page, value) {
  await agent.setQueue('mail', value);
  await until(`the chart ends with ${value}`, async () => (await chart(page).getAttribute('aria-label')).endsWith(` ${value}`));
}

/** Pretends that the tab is hidden or shown. */
function setHidden(page, hidden) {
  return page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}

test('a chart moves on by each collection, and nothing is asked', async () => {
  const page = await watched(EXPLORE);
  await shows(page, 11);
  const { length } = page.asked;
  for (const value of [12, 13, 14, 15]) await shows(page, value);
  assert.equal(page.asked.length, length, page.asked.slice(length).join('\n'));
  assertClean(page);
  await page.context().close();
});

test('equal queries share a subscription, and nobody keeps one that is not shown', async () => {
  const page = await watched(DASHBOARD);
  const of = (type) => page.sent.filter((message) => message.type === type);
  await until('subscriptions', () => of('subscribe').length > 5);
  await page.getByRole('link', { name: 'Silences' }).click();
  await until('all are dropped', () => of('unsubscribe').length === of('subscribe').length);
  const queries = of('subscribe').map(({ query }) => query);
  assert.equal(new Set(queries).size, queries.length);
  assert.equal(page.sockets, 1);
  await page.context().close();
});

test('a hidden tab rests, and one question fills its gap', async () => {
  const page = await watched(EXPLORE);
  await shows(page, 21);
  await setHidden(page, true);
  const { length } = page.asked;
  await agent.setQueue('mail', 22);
  await until('the agent has no client', async () => (await agent.get('api/v1/query?query=bellwether_live_clients')).result[0]?.value[1] === '0');
  await setHidden(page, false);
  await shows(page, 23);
  assert.ok(page.asked.length - length <= 2, page.asked.slice(length).join('\n'));
  await page.getByRole('button', { name: 'Time range' }).click();
  await page.getByRole('button', { name: 'always live' }).click();
  await page.waitForURL(/hidden=live/);
  await setHidden(page, true);
  await shows(page, 24);
  await page.context().close();
});

test('a gap after the agent was away is filled, and the chart goes on', async () => {
  const page = await watched(EXPLORE);
  await shows(page, 31);
  await agent.kill();
  await page.getByRole('alert').getByText('has not answered').waitFor();
  await agent.run();
  await shows(page, 32);
  await shows(page, 33);
  await page.context().close();
});

test('a query that the agent does not take as a subscription is asked for', async () => {
  const page = await watched(`${EXPLORE}&refresh=1s`, (page) =>
    page.routeWebSocket(/\/api\/v1\/live$/, (socket) => {
      socket.onMessage((text) => {
        const { type, id } = JSON.parse(text);
        if (type === 'subscribe') socket.send(JSON.stringify({ type: 'error', id, error: 'there are 128 subscriptions already' }));
      });
    }),
  );
  await shows(page, 41);
  const { length } = page.asked;
  await shows(page, 42);
  assert.ok(page.asked.length > length);
  assertClean(page);
  await page.context().close();
});

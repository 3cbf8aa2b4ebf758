// The login, and the end of a session while the page is open.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Agent, ROOT } from './agent.mjs';
import { launch, open } from './browser.mjs';

/** The page asks so seldom that whatever it shows comes of its live connection. */
const PATH = 'alerts?refresh=1h';

let agent;
let browser;

before(async () => {
  const users = ['--web.config.file', join(ROOT, 'tests/web/web-config.yaml')];
  [agent, browser] = await Promise.all([Agent.start(users), launch()]);
});

after(async () => {
  await browser?.close();
  await agent?.stop();
});

async function login(page) {
  await page.getByLabel('User').fill('ada');
  await page.getByLabel('Password').fill('sesame');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('heading', { name: 'Alerts' }).first().waitFor();
}

async function fire(page, queue) {
  const authorization = `Basic ${Buffer.from('ada:sesame').toString('base64')}`;
  const body = JSON.stringify([{ metric: 'queue_length', labels: { queue_name: queue }, set: 310 }]);
  const headers = { authorization, 'content-type': 'application/json' };
  const answer = await fetch(`${agent.url}/api/v1/record`, { method: 'POST', body, headers });
  assert.equal(answer.status, 200, await answer.text());
  await page.getByText(`310 items wait in ${queue}`).waitFor();
}

test('a logout elsewhere shows the login, and after it the page is live again', async () => {
  const page = await open(browser, agent, PATH);
  await login(page);
  await fire(page, 'mail');
  const other = await page.context().newPage();
  await other.goto(`${agent.url}/${PATH}`);
  await other.getByText('310 items wait in mail').waitFor();
  const status = await other.evaluate(async () => (await fetch('api/v1/logout', { method: 'POST' })).status);
  assert.equal(status, 200);
  await page.getByRole('button', { name: 'Log in' }).waitFor();
  await login(page);
  await fire(page, 'post');
  await page.context().close();
});

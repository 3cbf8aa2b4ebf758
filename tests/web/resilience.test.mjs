// The agent goes away and comes back while the page is open.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { Agent } from './agent.mjs';
import { assertClean, launch, open } from './browser.mjs';

let agent;
let browser;

before(async () => {
  [agent, browser] = await Promise.all([Agent.start(), launch()]);
  await agent.fire('mail');
});

after(async () => {
  await browser?.close();
  await agent?.stop();
});

test('a killed agent leaves old data with a clock, and its return is shown', async () => {
  const page = await open(browser, agent, 'alerts?refresh=1s');
  await page.getByText('310 items wait in mail').waitFor();
  await agent.kill();
  const banner = page.getByRole('alert').getByText(/has not answered for \d+ s/);
  await banner.waitFor();
  assert.ok(await page.getByText('310 items wait in mail').isVisible(), 'old data stay');
  await agent.run();
  await banner.waitFor({ state: 'detached' });
  await agent.setQueue('mail', 555);
  await page.getByText('555 items wait in mail').waitFor();
  await page.context().close();
});

test('a view that is opened while the agent is away says so, and shows its data later', async () => {
  const page = await open(browser, agent, 'rules?refresh=1s');
  await page.getByText('queue_length > 100').waitFor();
  await agent.kill();
  await page.getByRole('alert').waitFor();
  await page.getByRole('link', { name: 'Collectors' }).click();
  await page.getByText(/cannot be shown|has not answered/).first().waitFor();
  await agent.run();
  await page.reload();
  await page.getByText('All 3 collectors run').waitFor();
  await page.context().close();
});

test('an alert that is over has a page, and one that never was says so', async () => {
  const alert = await agent.fire('brief');
  await agent.setQueue('brief', 0);
  const page = await open(browser, agent, `alerts/${alert.fingerprint}?refresh=1s`);
  await page.getByText(/resolved/).first().waitFor();
  await page.goto(`${agent.url}/alerts/0000000000000000`);
  await page.getByText('No alert has this fingerprint').waitFor();
  await page.context().close();
});

test('reduced motion has none', async () => {
  const page = await open(browser, agent, '', { reducedMotion: 'reduce' });
  const moving = await page.evaluate(() => document.getAnimations().length);
  assert.equal(moving, 0);
  await page.context().close();
});

test('names and addresses that are hostile are text and nothing else', async () => {
  const name = '<img src=x onerror=alert(1)> 100% / "quoted"';
  const alert = await agent.fire(name);
  const page = await open(browser, agent, 'alerts');
  await page.getByText(`items wait in ${name}`).waitFor();
  await page.goto(`${agent.url}/alerts/${alert.fingerprint}`);
  await page.getByRole('heading', { name: `items wait in ${name}` }).waitFor();
  for (const path of ['rules/100%25', 'rules/%E0%A4%A', 'alerts/%3Cb%3E', 'alerts?q=%22%7B(((&severity=nope&group=nope', '?from=now-x&to=never&refresh=0s&theme=pink']) {
    await page.goto(`${agent.url}/${path}`);
    await page.locator('main .card, main .note').first().waitFor();
  }
  assertClean(page);
  await page.context().close();
});

// What people do on the page reaches the agent, and the page shows it.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { Agent, until } from './agent.mjs';
import { assertAccessible, assertClean, launch, open } from './browser.mjs';

let agent;
let browser;

before(async () => {
  [agent, browser] = await Promise.all([Agent.start(), launch()]);
  await agent.fire('mail');
  await agent.fire('sms');
});

after(async () => {
  await browser?.close();
  await agent?.stop();
});

const row = (page, text) => page.locator('.alert-row', { hasText: text });

test('a silence takes two clicks, shows what it covers, and ends by one', async () => {
  const page = await open(browser, agent, 'alerts');
  await row(page, 'in mail').getByRole('button', { name: /^Silence/ }).click();
  const dialog = page.getByRole('dialog', { name: 'Silence backlog' });
  await dialog.getByText('Covers 1 of 3 alerts').waitFor();
  await dialog.getByRole('button', { name: 'queue_name=mail' }).click();
  await dialog.getByText('Covers 2 of 3 alerts').waitFor();
  await dialog.getByRole('button', { name: 'queue_name=mail' }).click();
  await assertAccessible(page);
  await dialog.getByRole('button', { name: 'Silence for 2 h' }).click();
  await row(page, 'in mail').getByText('silenced by').waitFor();
  assert.equal(await row(page, 'in sms').getByText('silenced by').count(), 0);
  const { silences } = await agent.get('api/v1/silences');
  const silence = silences.find((one) => !one.configured);
  assert.match(silence.matchers, /alertname="backlog".*queue_name="mail"/);
  assert.ok(Math.abs(Date.parse(silence.endsAt) - Date.now() - 7_200_000) < 60_000);

  await page.goto(`${agent.url}/silences`);
  const line = page.getByRole('row', { name: /queue_name="mail"/ });
  await line.getByText('in force').waitFor();
  await line.getByRole('button', { name: 'Change' }).click();
  await page.getByLabel('Comment').fill('host is moved');
  await page.getByRole('button', { name: /^Change, ends in/ }).click();
  await line.getByText('host is moved').waitFor();
  await line.getByRole('button', { name: 'End' }).click();
  await line.waitFor({ state: 'detached' });
  await until('the silence ends', async () => !(await agent.alert('mail'))?.silencedBy);
  assertClean(page);
  await page.context().close();
});

test('an acknowledgement says who works on it, and ends', async () => {
  const page = await open(browser, agent, 'alerts');
  await row(page, 'in sms').getByRole('button', { name: /^Ack/ }).click();
  await page.getByRole('dialog').getByLabel('By').fill('ada');
  await page.getByLabel('Comment').fill('draining');
  await page.getByRole('dialog').getByRole('button', { name: 'Acknowledge' }).click();
  await row(page, 'in sms').getByText('acknowledged by ada').waitFor();
  assert.equal((await agent.alert('sms')).acknowledgedBy, 'ada');
  await row(page, 'in sms').getByRole('link', { name: 'backlog' }).click();
  await page.getByText(/Acknowledged by ada.*draining/).waitFor();
  await page.getByRole('button', { name: 'End the acknowledgement' }).click();
  await page.getByRole('button', { name: 'Acknowledge', exact: true }).waitFor();
  assert.equal((await agent.alert('sms')).acknowledgedBy, undefined);
  assertClean(page);
  await page.context().close();
});

test('the keyboard alone silences an alert', async () => {
  const page = await open(browser, agent, 'alerts');
  await row(page, 'in mail').waitFor();
  // A key that is pressed before the list listens is lost.
  await until('an alert is selected', async () => {
    await page.keyboard.press('j');
    const selected = page.locator('[aria-current=true]').waitFor({ timeout: 1000 });
    return selected.then(() => true, () => false);
  });
  await page.keyboard.press('s');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Enter');
  await page.getByText(/silenced by/).first().waitFor();
  assertClean(page);
  await page.context().close();
});

test('dead letters are resent and discarded', async () => {
  const letters = async () => (await agent.get('api/v1/dead-letters')).deadLetters;
  await until('a dead letter', async () => (await letters()).length > 1);
  const rejections = async () => (await agent.get('api/v1/alerts/history?event=rejected')).records.length;
  const before = await rejections();
  const page = await open(browser, agent, 'notifications');
  await page.getByRole('checkbox').first().check();
  await page.getByRole('button', { name: 'Resend 1' }).click();
  await page.getByText('Sent to the queue again').waitFor();
  // Rejected again: the log of deliveries has one more rejection, and nothing is under way when they are discarded.
  await until('it is rejected anew', async () => (await rejections()) > before);
  // The list may not have the one that was rejected anew yet.
  await until('they are gone', async () => {
    if ((await letters()).length === 0) return true;
    const all = page.getByRole('button', { name: /^Discard all/ });
    if (!(await all.isVisible())) return false;
    await all.click();
    await page.getByRole('dialog').getByRole('button', { name: 'Discard' }).click();
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    return false;
  });
  await page.getByText('No dead letters').waitFor();
  assertClean(page);
  await page.context().close();
});

test('a new value is on the page without a reload', async () => {
  await agent.setQueue('mail', 310);
  const page = await open(browser, agent, 'alerts?refresh=1s');
  await page.getByText('310 items wait in mail').waitFor();
  await agent.setQueue('mail', 421);
  await page.getByText('421 items wait in mail').waitFor();
  await agent.setQueue('fax', 500);
  await page.getByText('500 items wait in fax').waitFor();
  assertClean(page);
  await page.context().close();
});

test('a paused page does not change until it is told to', async () => {
  const page = await open(browser, agent, 'alerts?refresh=off');
  await page.getByText(/items wait in mail/).waitFor();
  await agent.setQueue('paused', 700);
  await until('it fires', () => agent.alert('paused'));
  assert.equal(await page.getByText('700 items wait').count(), 0);
  await page.getByRole('button', { name: 'Paused' }).click();
  await page.getByText('700 items wait').waitFor();
  assert.doesNotMatch(page.url(), /refresh/);
  await page.context().close();
});

test('a new alert is on the page at once, long before the next refresh', async () => {
  const page = await open(browser, agent, 'alerts?refresh=1h');
  await page.getByText(/items wait in mail/).waitFor();
  await page.getByTitle('Age of the data; changes come at once').waitFor();
  await agent.setQueue('sudden', 900);
  await page.getByText('900 items wait in sudden').waitFor();
  assertClean(page);
  await page.context().close();
});

test('a filter by labels becomes a silence', async () => {
  const page = await open(browser, agent, 'alerts');
  await row(page, 'in fax').getByRole('button', { name: 'queue_name=fax' }).click();
  await page.waitForURL(/q=queue_name/);
  await page.getByRole('button', { name: 'Silence these' }).click();
  const dialog = page.getByRole('dialog', { name: 'New silence' });
  assert.equal(await dialog.getByLabel('Matchers').inputValue(), 'queue_name="fax"');
  await dialog.getByText(/^Covers 1 of/).waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await page.goBack();
  await row(page, 'in sms').waitFor();
  assertClean(page);
  await page.context().close();
});

test('an alert is resolved by hand, with who and why', async () => {
  const alert = await agent.fire('by-hand');
  const page = await open(browser, agent, `alerts/${alert.fingerprint}`);
  await page.getByRole('button', { name: 'Resolve' }).click();
  const dialog = page.getByRole('dialog', { name: 'Resolve backlog' });
  await dialog.getByLabel('By').fill('ada');
  await dialog.getByLabel('Comment').fill('the queue is a test');
  await dialog.getByRole('button', { name: 'Resolve' }).click();
  await until('it is over', async () => !(await agent.alert('by-hand')));
  await page.getByText(/the queue is a test/).first().waitFor();
  assertClean(page);
  await page.context().close();
});

test('a channel is tested, and its error is shown', async () => {
  const page = await open(browser, agent, 'notifications');
  await page.getByRole('button', { name: 'Test log' }).click();
  await page.getByText('log has delivered a test message').waitFor();
  await page.getByRole('button', { name: 'Test rejecting' }).click();
  await page.locator('.toast', { hasText: /rejecting: .*400/ }).waitFor();
  await page.context().close();
});

test('the page shows where an alert would go', async () => {
  const page = await open(browser, agent, 'notifications');
  await page.getByLabel('Labels of the alert').fill('alertname="backlog", severity="critical"');
  await page.getByRole('button', { name: 'Show' }).click();
  await page.locator('.routes').getByText('rejecting, log').waitFor();
  assert.match(page.url(), /labels=/);
  await assertAccessible(page);
  assertClean(page);
  await page.context().close();
});

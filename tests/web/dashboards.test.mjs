// Dashboards: what they show, and that a changed layout is there for everybody who opens the page.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { Agent, until } from './agent.mjs';
import { assertAccessible, assertClean, assertNoOverflow, launch, open, settled } from './browser.mjs';

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

const PATH = 'dashboards/bellwether?from=now-5m';
const widget = (page, title) => page.getByRole('region', { name: title, exact: true });
const handle = (page, title) => page.getByRole('button', { name: `Move ${title}`, exact: true });
const plot = (page, title) => widget(page, title).locator('.u-over');

async function dashboard() {
  return agent.get('api/v1/dashboards/bellwether');
}

async function placeOf(title) {
  return (await dashboard()).items.find((item) => item.title === title)?.place;
}

async function edit(page) {
  await page.getByRole('button', { name: 'Edit', exact: true }).click();
  await handle(page, 'Alerts firing').waitFor();
}

async function save(page) {
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByRole('button', { name: 'Edit', exact: true }).waitFor();
}

/** Pixels of a canvas that are not transparent. */
async function drawn(page, title) {
  return widget(page, title)
    .locator('canvas')
    .evaluate((canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.filter((_, i) => i % 4 === 3).filter(Boolean).length);
}

test('the shipped dashboard has the panels of the one for Grafana', async () => {
  const { text } = await agent.get('api/v1/dashboards/bellwether/export?format=grafana');
  const titles = JSON.parse(text).panels.map((panel) => panel.title);
  const page = await open(browser, agent, PATH);
  await widget(page, 'Alerts firing').waitFor();
  const shown = await page.locator('.dashboard-grid :is(h2, .widget h3)').allInnerTexts();
  assert.deepEqual(shown, titles);
  assertClean(page);
  await page.context().close();
});

test('a chart draws its series, the threshold of a rule, and a mark that leads to the alert', async () => {
  const page = await open(browser, agent, PATH);
  const chart = widget(page, 'Queue length');
  await chart.scrollIntoViewIfNeeded();
  await chart.getByRole('button', { name: 'mail' }).waitFor();
  await until('pixels', async () => (await drawn(page, 'Queue length')) > 1000);
  await chart.getByRole('link', { name: /backlog: critical since/ }).first().click();
  await page.waitForURL(/\/alerts\/[0-9a-f]+/);
  assertClean(page);
  await page.context().close();
});

test('a drag zooms all charts and the address, and a double click goes back', async () => {
  const page = await open(browser, agent, PATH);
  await plot(page, 'Alerts by state').waitFor();
  const box = await plot(page, 'Alerts by state').boundingBox();
  await page.mouse.move(box.x + box.width * 0.25, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 50, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL(/from=20\d\d-.*to=20\d\d-/);
  const url = new URL(page.url());
  const length = (Date.parse(url.searchParams.get('to')) - Date.parse(url.searchParams.get('from'))) / 1000;
  assert.ok(length > 60 && length < 90, `a quarter of five minutes, found ${length} s`);
  await page.mouse.dblclick(box.x + box.width / 2, box.y + 40);
  await page.waitForURL((url) => !url.searchParams.has('to'));
  assertClean(page);
  await page.context().close();
});

test('a click on the legend isolates a series, and Ctrl adds one', async () => {
  const page = await open(browser, agent, PATH);
  const chart = widget(page, 'Alerts by state');
  const firing = chart.getByRole('button', { name: 'firing' });
  const pending = chart.getByRole('button', { name: 'pending' });
  await firing.click();
  assert.equal(await chart.locator('tr.off').count(), 1);
  await pending.click({ modifiers: ['Control'] });
  assert.equal(await chart.locator('tr.off').count(), 0);
  await pending.click({ modifiers: ['Control'] });
  await firing.click();
  assert.equal(await chart.locator('tr.off').count(), 0, 'a second click shows all');
  assertClean(page);
  await page.context().close();
});

test('a horizontal drag of a finger zooms, a vertical one does not', async () => {
  const page = await open(browser, agent, PATH, { size: 'phone' });
  await plot(page, 'Alerts by state').scrollIntoViewIfNeeded();
  const box = await plot(page, 'Alerts by state').boundingBox();
  const touch = await page.context().newCDPSession(page);
  const swipe = async (from, to) => {
    const at = (t) => ({ x: from.x + (to.x - from.x) * t, y: from.y + (to.y - from.y) * t });
    await touch.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [at(0)] });
    for (const t of [0.2, 0.4, 0.6, 0.8, 1]) await touch.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: [at(t)] });
    await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  };
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  await swipe(middle, { x: middle.x, y: middle.y - 60 });
  assert.doesNotMatch(page.url(), /to=/);
  await plot(page, 'Alerts by state').scrollIntoViewIfNeeded();
  const now = await plot(page, 'Alerts by state').boundingBox();
  await swipe({ x: now.x + 40, y: now.y + 40 }, { x: now.x + 200, y: now.y + 44 });
  await page.waitForURL(/to=20\d\d-/);
  assertClean(page);
  await page.context().close();
});

test('a layout that is dragged is saved for everybody, and reset', async () => {
  const page = await open(browser, agent, PATH);
  const before = await placeOf('Alerts by state');
  await edit(page);
  const box = await handle(page, 'Alerts by state').boundingBox();
  await page.mouse.move(box.x + 60, box.y + 8);
  await page.mouse.down();
  await page.mouse.move(box.x - 500, box.y + 40, { steps: 12 });
  await page.mouse.up();
  await save(page);
  await until('the place changes', async () => (await placeOf('Alerts by state')).x < before.x);
  const saved = await placeOf('Alerts by state');

  await agent.kill();
  await agent.run();
  const other = await open(browser, agent, PATH, { theme: 'light' });
  await other.getByRole('button', { name: 'Reset' }).waitFor();
  assert.deepEqual(await placeOf('Alerts by state'), saved, 'kept over kill -9');
  await other.getByRole('button', { name: 'Reset' }).click();
  await until('the reset', async () => !(await dashboard()).changed);
  assert.deepEqual(await placeOf('Alerts by state'), before);
  await other.getByRole('button', { name: 'History', exact: true }).click();
  await other.getByRole('button', { name: 'Restore' }).click();
  await until('the restored layout', async () => (await dashboard()).changed);
  assert.deepEqual(await placeOf('Alerts by state'), saved);
  assertClean(other);
  await other.context().close();
  await page.context().close();
});

test('the keyboard alone moves, resizes and removes a widget', async () => {
  const page = await open(browser, agent, PATH);
  const before = await placeOf('Series');
  await edit(page);
  await handle(page, 'Series').focus();
  for (const key of ['Enter', 'Shift+ArrowDown', 'Shift+ArrowDown', 'Escape']) await page.keyboard.press(key);
  await page.getByText(`Series: column ${before.x + 1}, line ${before.y + 1}, ${before.w} wide, ${before.h + 2} high`).waitFor({ state: 'attached' });
  await page.getByRole('button', { name: 'Remove Dead letters' }).press('Enter');
  await assertAccessible(page);
  await save(page);
  await until('the layout', async () => (await placeOf('Series')).h === before.h + 2);
  assert.equal(await placeOf('Dead letters'), undefined);
  assertClean(page);
  await page.context().close();
});

test('a widget is added, shows its data, and is exported as YAML', async () => {
  const page = await open(browser, agent, PATH);
  await edit(page);
  await page.getByRole('button', { name: 'Widget', exact: true }).click();
  await page.getByRole('button', { name: 'Change New widget' }).click();
  const dialog = page.getByRole('dialog', { name: 'Widget' });
  await dialog.getByLabel('Title').fill('Mail queue');
  await dialog.getByLabel('PromQL').fill('queue_length{queue_name="mail"}');
  await dialog.getByLabel('Type').selectOption('gauge');
  await dialog.getByRole('meter', { name: /Mail queue/ }).waitFor();
  assert.match(await dialog.getByRole('meter').getAttribute('aria-valuetext'), /310/);
  await assertAccessible(page);
  await dialog.getByRole('button', { name: 'Apply' }).click();
  await save(page);
  const gauge = widget(page, 'Mail queue').getByRole('meter');
  await widget(page, 'Mail queue').scrollIntoViewIfNeeded();
  assert.match(await gauge.getAttribute('aria-valuetext'), /310, critical/, 'the threshold of the rule on this metric');
  await page.getByRole('button', { name: 'Export' }).click();
  const text = page.getByRole('dialog', { name: 'Export' }).getByLabel('Text');
  await until('the YAML', async () => /title: Mail queue\n\s+type: gauge/.test(await text.inputValue()));
  assertClean(page);
  await page.context().close();
});

test('a widget is enlarged by its address, and Escape closes it', async () => {
  const page = await open(browser, agent, PATH);
  await widget(page, 'Alerts by state').hover();
  await page.getByRole('button', { name: 'Enlarge Alerts by state' }).click();
  await page.waitForURL(/panel=alerts-by-state/);
  await page.reload();
  await widget(page, 'Alerts by state').waitFor();
  assert.equal(await page.locator('.widget').count(), 1);
  await page.keyboard.press('Escape');
  await widget(page, 'Alerts firing').waitFor();
  assertClean(page);
  await page.context().close();
});

for (const size of ['desktop', 'phone', 'wall']) {
  for (const theme of ['dark', 'light']) {
    test(`a dashboard on a ${size} in ${theme}`, async () => {
      const page = await open(browser, agent, PATH, { size, theme });
      await widget(page, 'Alerts firing').waitFor();
      await settled(page);
      await assertNoOverflow(page);
      await assertAccessible(page);
      assertClean(page);
      await page.context().close();
    });
  }
}

// A phone: everything is within reach of a thumb.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { Agent } from './agent.mjs';
import { assertAccessible, assertClean, launch, open } from './browser.mjs';

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

test('views are in the bar at the bottom, and the others behind More', async () => {
  const page = await open(browser, agent, '', { size: 'phone', theme: 'light' });
  const bar = page.getByRole('navigation', { name: 'Views' });
  await bar.getByRole('link', { name: 'Alerts' }).tap();
  await page.waitForURL(/\/alerts$/);
  await bar.getByRole('button', { name: 'More' }).tap();
  await assertAccessible(page);
  await bar.getByRole('link', { name: 'Collectors' }).last().tap();
  await page.getByText('All 3 collectors run').waitFor();
  const box = await bar.boundingBox();
  assert.ok(box.y + box.height > 840 && box.x === 0, JSON.stringify(box));
  assertClean(page);
  await page.context().close();
});

test('an alert is silenced with two taps', async () => {
  const page = await open(browser, agent, 'alerts', { size: 'phone' });
  await page.locator('.alert-row', { hasText: 'in mail' }).getByRole('button', { name: /^Silence/ }).tap();
  await page.getByRole('dialog').getByRole('button', { name: 'Silence for 2 h' }).tap();
  await page.getByText(/silenced by/).waitFor();
  assertClean(page);
  await page.context().close();
});

test('what is tapped is large enough', async () => {
  const page = await open(browser, agent, 'alerts', { size: 'phone' });
  await page.getByText('310 items wait in mail').waitFor();
  const small = await page.evaluate(() => {
    const sizes = [...document.querySelectorAll('button:not(.chip), select, input, .rail-item')].map((element) => [element.getBoundingClientRect(), element.textContent]);
    return sizes.filter(([box]) => box.height > 0 && (box.height < 32 || box.width < 32)).map(([box, text]) => `${text} ${box.width}x${box.height}`);
  });
  assert.deepEqual(small, []);
  await page.context().close();
});

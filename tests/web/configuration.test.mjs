// The configuration: errors as one types, what a change does, and apply where it is allowed.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { Agent } from './agent.mjs';
import { assertAccessible, assertClean, assertNoOverflow, launch, open } from './browser.mjs';

let agent;
let browser;

before(async () => {
  [agent, browser] = await Promise.all([Agent.start(), launch()]);
});

after(async () => {
  await browser?.close();
  await agent?.stop();
});

const editor = (page) => page.getByRole('textbox', { name: /^File / });

/** Types a line below `performance_monitor:`. */
async function type(page, text) {
  await editor(page).click();
  await page.keyboard.press('Control+Home');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  await page.keyboard.type(text);
}

test('a key is completed with its description', async () => {
  const page = await open(browser, agent, 'config');
  await type(page, 'collection_t');
  await page.getByRole('option', { name: /collection_timeout/ }).waitFor();
  await page.getByText(/Timeout of one collection/).waitFor();
  assertClean(page);
  await page.context().close();
});

test('an error appears by its line as one types, and goes when it is fixed', async () => {
  const page = await open(browser, agent, 'config');
  await type(page, 'collection_timeou: 1s');
  await page.getByRole('heading', { name: '1 error' }).waitFor();
  const problem = page.getByRole('button', { name: /3:3 unknown key "collection_timeou"/ });
  await problem.getByText('did you mean "collection_timeout"?').waitFor();
  await problem.click();
  for (let i = 0; i < 'collection_timeou'.length; i++) await page.keyboard.press('ArrowRight');
  await page.keyboard.type('t');
  await page.keyboard.press('Escape');
  await page.getByRole('heading', { name: 'No errors' }).waitFor();
  await assertAccessible(page);
  assertClean(page);
  await page.context().close();
});

test('what changes is listed before it is applied', async () => {
  const page = await open(browser, agent, 'config');
  await editor(page).click();
  await page.keyboard.press('Control+End');
  await page.keyboard.insertText('\ndashboards:\n  - name: own\n');
  await page.getByRole('heading', { name: 'No errors' }).waitFor();
  await page.getByRole('button', { name: 'Difference' }).click();
  await page.getByText('No metric, rule or channel changes.').waitFor();
  await page.getByRole('button', { name: 'Discard changes' }).click();
  await page.getByText('Nothing is changed yet.').waitFor();
  assertClean(page);
  await page.context().close();
});

for (const size of ['desktop', 'phone', 'wall']) {
  test(`the configuration on a ${size}`, async () => {
    const page = await open(browser, agent, 'config', { size, theme: size === 'phone' ? 'light' : 'dark' });
    await editor(page).waitFor();
    await assertNoOverflow(page);
    await assertAccessible(page);
    assertClean(page);
    await page.context().close();
  });
}

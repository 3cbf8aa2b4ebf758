// Explore: a query is typed, drawn, listed, shared, and becomes a rule.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Agent, BINARY, until } from './agent.mjs';
import { assertAccessible, assertClean, assertNoOverflow, launch, open } from './browser.mjs';

let agent;
let browser;

before(async () => {
  [agent, browser] = await Promise.all([Agent.start(), launch()]);
  await agent.setQueue('mail', 7);
  await until('samples', async () => (await agent.get('api/v1/query?query=queue_length')).result.length > 0);
});

after(async () => {
  await browser?.close();
  await agent?.stop();
});

const editor = (page, number = 1) => page.getByRole('textbox', { name: `Query ${number}` });

test('a typed query has completion with help, and is drawn and in the address', async () => {
  const page = await open(browser, agent, 'explore?from=now-5m');
  await editor(page).click();
  await page.keyboard.type('queue_len');
  const option = page.getByRole('option', { name: /queue_length/ }).first();
  await option.waitFor();
  await page.getByText('Items that wait.').waitFor();
  await option.click();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Enter');
  await page.waitForURL(/q1=queue_length/);
  await page.getByRole('button', { name: 'queue_length' }).waitFor();
  await page.getByRole('tab', { name: 'Table' }).click();
  await page.getByRole('row', { name: /queue_name="mail".*7/ }).waitFor();
  await page.reload();
  await page.getByRole('row', { name: /queue_name="mail".*7/ }).waitFor();
  await assertAccessible(page);
  assertClean(page);
  await page.context().close();
});

test('an error shows its position, and leaves the other queries', async () => {
  const page = await open(browser, agent, 'explore?q1=sum(queue_length&q2=queue_length');
  const error = page.getByRole('alert').filter({ hasText: 'unclosed left parenthesis' });
  await error.waitFor();
  assert.equal(await error.locator('pre').innerText(), 'sum(queue_length\n                ^');
  await page.getByRole('button', { name: 'queue_length' }).waitFor();
  page.problems = page.problems.filter((problem) => !problem.includes('400'));
  assertClean(page);
  await page.context().close();
});

test('the metric browser has help, labels and counts, and inserts a query', async () => {
  const page = await open(browser, agent, 'explore?metrics=open');
  await page.getByRole('searchbox', { name: 'Filter metrics' }).fill('items wait');
  await page.getByRole('button', { name: /^queue_length/ }).click();
  await page.getByText('1 series').waitFor();
  await assertAccessible(page);
  await page.getByRole('button', { name: 'mail', exact: true }).click();
  assert.match(await editor(page).innerText(), /queue_length\{queue_name="mail"\}/);
  await page.getByRole('button', { name: 'Run' }).click();
  await page.waitForURL(/q1=queue_length%7B/);
  assertClean(page);
  await page.context().close();
});

test('a query becomes a rule that the configuration accepts', async () => {
  const page = await open(browser, agent, `explore?q1=${encodeURIComponent(`queue_length{queue_name!="it's"}`)}`);
  await page.getByRole('button', { name: 'Make this a rule' }).click();
  const dialog = page.getByRole('dialog', { name: 'Make this a rule' });
  await dialog.getByLabel('Threshold').fill('50');
  await dialog.getByLabel('Severity').selectOption('critical');
  const yaml = await dialog.getByLabel('YAML').inputValue();
  const file = join(agent.state, 'rule.yaml');
  await writeFile(file, yaml);
  const { stdout } = await promisify(execFile)(BINARY, ['check', '--config', file]);
  assert.match(stdout, /1 rule/);
  await page.context().close();
});

test('queries that ran are in the history of the browser', async () => {
  const page = await open(browser, agent, 'explore');
  await editor(page).click();
  await page.keyboard.insertText('sum(queue_length)');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Enter');
  await page.waitForURL(/q1=sum/);
  await page.goto(`${agent.url}/explore`);
  await page.getByRole('button', { name: 'History' }).click();
  await page.getByRole('button', { name: 'sum(queue_length)' }).click();
  await page.waitForURL(/q1=sum/);
  assertClean(page);
  await page.context().close();
});

for (const size of ['desktop', 'phone', 'wall']) {
  test(`explore on a ${size}`, async () => {
    const page = await open(browser, agent, 'explore?q1=queue_length&metrics=open', { size, theme: size === 'phone' ? 'light' : 'dark' });
    await page.getByRole('button', { name: 'queue_length' }).first().waitFor();
    await assertNoOverflow(page);
    await assertAccessible(page);
    assertClean(page);
    await page.context().close();
  });
}

// A rule is changed and tried over history, and its unit tests run.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { Agent } from './agent.mjs';
import { assertAccessible, assertClean, assertNoOverflow, launch, open } from './browser.mjs';

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

const PATH = 'rules/backlog?from=now-15m';
const card = (page, title) => page.getByRole('region', { name: title });

test('a changed threshold is tried over history beside the rule of today', async () => {
  const page = await open(browser, agent, PATH);
  await page.getByLabel('threshold', { exact: true }).fill('1000');
  await page.getByRole('button', { name: 'Backtest' }).click();
  const change = card(page, 'Try a change');
  await change.getByText("Today's rule fires once in this range, the changed one never.").waitFor();
  await change.getByRole('row', { name: /^changed queue_length > 1000 0/ }).waitFor();
  assert.equal(await change.locator('.differences li').count(), 1);
  const value = card(page, 'Value, with the alerts of the changed rule');
  assert.equal(await value.locator('.chart-mark').count(), 0);
  await value.getByRole('button', { name: "Today's rule" }).click();
  await card(page, "Value, with the alerts of today's rule").locator('.chart-mark').waitFor();
  await assertNoOverflow(page);
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Reset' }).click();
  assert.equal(Number(await page.getByLabel('threshold', { exact: true }).inputValue()), 100);
  assertClean(page);
  await page.context().close();
});

test('the YAML of a changed rule may have an error, which is shown', async () => {
  const page = await open(browser, agent, PATH);
  await page.getByText('YAML', { exact: true }).click();
  await page.getByLabel('YAML of the changed rule').fill('name: backlog\nmetric: nothing\ncondition: ">"\nthreshold: 1');
  await page.getByRole('button', { name: 'Backtest' }).click();
  await card(page, 'Try a change').getByText(/nothing/).first().waitFor();
  await page.context().close();
});

test('tests of a rule pass, and show the difference where they fail', async () => {
  const page = await open(browser, agent, PATH);
  const tests = card(page, 'Tests');
  const text = page.getByLabel('Tests as YAML');
  const run = tests.getByRole('button', { name: 'Run tests' });
  await run.click();
  await tests.getByText('passed').waitFor();
  await text.fill((await text.inputValue()).replace('"critical"', '"warning"'));
  await run.click();
  await tests.getByText('failed').waitFor();
  await tests.getByText('− expected {alertname="backlog", severity="warning"}').waitFor();
  await tests.getByText('+ got      {alertname="backlog", severity="critical"}').waitFor();
  await assertAccessible(page);
  await text.fill('tests: {');
  await run.click();
  await tests.getByText('Not valid:').waitFor();
  await page.context().close();
});

test('tests run against the changed rule', async () => {
  const page = await open(browser, agent, PATH);
  const tests = card(page, 'Tests');
  await page.getByLabel('threshold', { exact: true }).fill('1000');
  await tests.getByText('Against the changed rule.').waitFor();
  await tests.getByRole('button', { name: 'Run tests' }).click();
  await tests.getByText('failed').waitFor();
  await page.context().close();
});

// Debian's Chromium, and a page that notes everything that must not happen.
import { chromium } from 'playwright-core';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
}

export const SIZES = {
  desktop: { viewport: { width: 1440, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
  wall: { viewport: { width: 2560, height: 1440 } },
};

/** Opens a page of the agent. `page.problems` has errors of the console, foreign requests and violations of the policy. */
export async function open(browser, agent, path = '', { size = 'desktop', theme = 'dark', reducedMotion = 'no-preference' } = {}) {
  const context = await browser.newContext({ ...SIZES[size], colorScheme: theme, reducedMotion, locale: 'en-GB', timezoneId: 'UTC' });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  page.problems = [];
  page.on('console', (message) => message.type() === 'error' && page.problems.push(`console: ${message.text()} ${message.location().url}`));
  page.on('pageerror', (error) => page.problems.push(`error: ${error.stack}`));
  page.on('request', (request) => {
    if (new URL(request.url()).origin.replace(/^ws/, 'http') !== agent.url) page.problems.push(`foreign request: ${request.url()}`);
  });
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
  });
  await page.goto(`${agent.url}/${path}`);
  await page.locator('body.ready').waitFor();
  return page;
}

export function assertClean(page) {
  assert.deepEqual(page.problems, [], page.url());
}

/** Waits until nothing is loading for the first time. */
export async function settled(page) {
  await page.waitForFunction(() => !document.querySelector('main .placeholder'));
}

export async function assertAccessible(page) {
  // A script of the test, which the policy of the page does not allow in it.
  const violations = await page.evaluate(async (source) => {
    (0, eval)(source);
    const { violations } = await window.axe.run(document, { resultTypes: ['violations'] });
    return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 4).map((node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ''}`).join(' | ')}`);
  }, AXE);
  assert.deepEqual(violations, [], page.url());
}

export async function assertNoOverflow(page) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(overflow <= 0, `${page.url()} is ${overflow} px too wide`);
}

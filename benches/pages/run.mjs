// Measures Bellwether's web page beside those of Prometheus and Netdata, in one run, on 127.0.0.1 only.
//
//   make build && npm --prefix tests/web ci && node benches/pages/run.mjs [ROUNDS]
//
// Needs Chromium (CHROMIUM=FILE). Peers that are not installed are left out. Each page is loaded ROUNDS times (5) with an empty
// cache and the CPU slowed down four times, the pages in turn; then it stays open, not slowed down. BELLWETHER=FILE measures
// another binary. Nothing is asserted about time. The table goes to the output, in Markdown.
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { servers } from './servers.mjs';

const { chromium } = createRequire(new URL('../../tests/web/package.json', import.meta.url))('playwright-core');
const ROUNDS = Number(process.argv[2] ?? 5);
const SLOWDOWN = 4;
/** A page is interactive after its last long task before this much time without one. */
const QUIET_MS = 3000;
const PATIENCE_MS = 20_000;
const OPEN_SECONDS = 30;

/** Runs in the page: notes tasks of 50 ms and more. */
function noteLongTasks() {
  window.longTasks = [];
  new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((task) => task.startTime + task.duration)))
    .observe({ type: 'longtask', buffered: true });
}

/** Runs in the page: first paint, and the end of the last long task, infinite for a page that is busy for `patience` ms. */
function timesOf({ quiet, patience }) {
  const paint = performance.getEntriesByName('first-contentful-paint')[0]?.startTime;
  const busy = Math.max(paint ?? 0, ...window.longTasks);
  if (paint !== undefined && performance.now() - busy > quiet) return { paint, interactive: busy };
  return performance.now() > patience ? { paint: paint ?? Infinity, interactive: Infinity } : null;
}

/** Loads a page as a new visitor; first paint and interactive in ms, bytes over the network until then. */
async function load(browser, url) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  let bytes = 0;
  session.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
  await session.send('Network.enable');
  await session.send('Emulation.setCPUThrottlingRate', { rate: SLOWDOWN });
  await page.addInitScript(noteLongTasks);
  await page.goto(url, { waitUntil: 'commit' });
  await sleep(QUIET_MS); // the first look, which costs the page time, comes when it may be quiet
  const times = await (await page.waitForFunction(timesOf, { quiet: QUIET_MS, patience: PATIENCE_MS }, { polling: 100 })).jsonValue();
  await context.close();
  return { ...times, bytes };
}

/** CPU seconds of all processes of the browser. */
async function cpuOf(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  return processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0);
}

/** Keeps a page open: CPU of browser and server in percent of a core, heap of the page, growth of the server, in MiB. */
async function keepOpen(server) {
  const before = server.memory();
  // A browser of its own: nothing of other pages is counted.
  const browser = await launch();
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(server.url);
  await sleep(5000);
  const start = { browser: await cpuOf(browser), server: server.cpu() };
  await sleep(OPEN_SECONDS * 1000);
  const percent = (seconds) => (100 * seconds) / OPEN_SECONDS;
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  const figures = {
    browserCpu: percent((await cpuOf(browser)) - start.browser),
    serverCpu: percent(server.cpu() - start.server),
    heap: usedSize / 2 ** 20,
    before,
    growth: server.memory() - before,
  };
  await browser.close();
  return figures;
}

function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

const ROWS = [
  ['first contentful paint, ms', ({ loads }) => median(loads.map(({ paint }) => paint)), 0],
  ['interactive, ms', ({ loads }) => median(loads.map(({ interactive }) => interactive)), 0],
  ['bytes over the network, kB', ({ loads }) => median(loads.map(({ bytes }) => bytes)) / 1000, 0],
  ['CPU of the browser while open, % of a core', ({ open }) => open.browserCpu, 1],
  ['CPU of the server while open, % of a core', ({ open }) => open.serverCpu, 2],
  ['JavaScript heap of the page, MiB', ({ open }) => open.heap, 1],
  ['resident memory of the server before, MiB', ({ open }) => open.before, 1],
  ['growth of it while open, MiB', ({ open }) => open.growth, 1],
];

/** Prints the table; the figures of peers with their multiple of Bellwether's. */
function print(measured) {
  console.log(`\n| figure | ${measured.map(({ server }) => server.name).join(' | ')} |`);
  console.log(`|---|${measured.map(() => '---|').join('')}`);
  for (const [what, figure, decimals] of ROWS) {
    const ours = figure(measured[0]);
    const cells = measured.map((one, index) => {
      const value = figure(one);
      if (value === Infinity) return `not within ${PATIENCE_MS / 1000} s`;
      return index === 0 || ours <= 0 ? value.toFixed(decimals) : `${value.toFixed(decimals)} (${(value / ours).toFixed(1)}x)`;
    });
    console.log(`| ${what} | ${cells.join(' | ')} |`);
  }
}

const running = await servers();
try {
  const measured = running.map((server) => ({ server, loads: [] }));
  for (const one of measured) one.open = await keepOpen(one.server);
  const browser = await launch();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { server, loads } of measured) loads.push(await load(browser, server.url));
  }
  await browser.close();
  print(measured);
} finally {
  for (const server of running) server.stop();
}

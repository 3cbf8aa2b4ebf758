// The committed build is that of the sources, and first views are small.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { promisify } from 'node:util';
import { ROOT } from './agent.mjs';

const run = promisify(execFile);
const DIST = join(ROOT, 'web/dist');

/** Returns the files below a folder, with their content. */
async function contents(folder) {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const paths = names.map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort();
  return new Map(await Promise.all(paths.map(async (path) => [path.slice(folder.length + 1), await readFile(path)])));
}

test('the committed build is that of the sources, bit for bit', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bellwether-build-'));
  try {
    const skipped = new Set([join(ROOT, 'web/node_modules'), DIST]);
    await cp(join(ROOT, 'web'), folder, { recursive: true, filter: (path) => !skipped.has(path) });
    await run('npm', ['ci', '--silent', '--ignore-scripts'], { cwd: folder });
    await run('npm', ['run', '--silent', 'check'], { cwd: folder });
    await run('npm', ['run', '--silent', 'build'], { cwd: folder });
    const [built, committed] = [await contents(join(folder, 'dist')), await contents(DIST)];
    assert.deepEqual([...committed.keys()], [...built.keys()], 'other files; hint: make web');
    for (const [name, content] of built) assert.ok(content.equals(committed.get(name)), `${name} differs; hint: make web`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('the first view is less than 120 kB compressed', async () => {
  const html = await readFile(join(DIST, 'index.html'), 'utf8');
  const names = new Set([...html.matchAll(/(?:src|href)="(assets\/[^"]+\.(?:js|css))"/g)].map(([, name]) => name));
  assert.ok(names.size > 2, html);
  let bytes = gzipSync(html).length;
  for (const name of names) bytes += gzipSync(await readFile(join(DIST, name)), { level: 9 }).length;
  console.log(`first view: ${bytes} bytes in ${names.size + 1} files`);
  assert.ok(bytes < 120_000, `${bytes} bytes`);
});

test('licences of all packages in the build are beside it', async () => {
  const html = await readFile(join(DIST, 'index.html'), 'utf8');
  const name = html.match(/rel="license" href="([^"]+)"/)[1];
  const text = await readFile(join(DIST, name), 'utf8');
  const { dependencies } = JSON.parse(await readFile(join(ROOT, 'web/package.json'), 'utf8'));
  for (const dependency of Object.keys(dependencies)) assert.ok(text.includes(`${dependency} `), dependency);
  assert.match(text, /Permission is hereby granted/);
});

test('nothing of the build names another host', async () => {
  for (const [name, content] of await contents(DIST)) {
    if (/licences/.test(name)) continue;
    const urls = [...content.toString().matchAll(/https?:\/\/[\w.-]+/g)].map(([url]) => url);
    const foreign = urls.filter((url) => !/^https?:\/\/(www\.w3\.org|x$)/.test(url));
    assert.deepEqual(foreign, [], name);
  }
});

// Builds web/dist from web/src: hashed names below assets/, and the two documents that load them.
// The same sources and package-lock.json give the same bytes, on every machine.
import { build, context } from 'esbuild';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const outdir = process.env.OUT_DIR ?? join(root, 'dist');

const FIRST_VIEW = ['src/main.tsx', 'src/views/overview/index.tsx'];

/**
 * Has what loads later import the first view, which is there by then. Otherwise esbuild makes a file of each set of modules that
 * the same views share, and the first view would be twenty requests.
 */
const firstViewInOnePiece = {
  name: 'first view in one piece',
  setup({ onResolve, onLoad, resolve }) {
    onResolve({ filter: /^\./ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
      if (kind !== 'dynamic-import' || pluginData === 'resolved') return undefined;
      return { ...(await resolve(path, { kind, importer, resolveDir, pluginData: 'resolved' })), pluginData: 'later' };
    });
    onLoad({ filter: /\.tsx$/ }, async ({ path, pluginData }) => {
      if (pluginData !== 'later') return undefined;
      const others = FIRST_VIEW.map((file) => join(root, file)).filter((file) => file !== path);
      const imports = others.map((file) => `import ${JSON.stringify(file)};`).join('');
      return { contents: `${imports}\n${await readFile(path, 'utf8')}`, loader: 'tsx' };
    });
  },
};

const options = {
  absWorkingDir: root,
  entryPoints: { main: 'src/main.tsx', style: 'src/styles/index.css' },
  outdir: join(outdir, 'assets'),
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  target: ['chrome109', 'firefox115', 'safari16.4'],
  minify: true,
  metafile: true,
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none', // licence texts are in one file, beside the code
  logLevel: 'warning',
  plugins: [firstViewInOnePiece],
};

if (process.argv.includes('--watch')) {
  const plugin = { name: 'documents', setup: (esbuild) => esbuild.onEnd((result) => finish(result)) };
  await (await context({ ...options, plugins: [...options.plugins, plugin] })).watch();
} else {
  await rm(outdir, { recursive: true, force: true });
  await finish(await build(options));
}

async function finish({ metafile, errors }) {
  if (errors?.length) return;
  const outputs = Object.entries(metafile.outputs);
  const assetOf = (entry) => {
    const output = outputs.find(([, { entryPoint }]) => entryPoint === entry);
    if (!output) throw new Error(`no output of ${entry}`);
    return output;
  };
  const name = (path) => `assets/${path.split('/').pop()}`;
  const [mainPath, overviewPath] = FIRST_VIEW.map((file) => assetOf(file)[0]);
  const preloads = reachable(metafile, [mainPath, overviewPath]).filter((path) => path !== mainPath);
  const licences = await writeLicences(metafile);
  const template = await readFile(join(root, 'src/index.html'), 'utf8');
  const icon = await writeAsset('icon', 'svg', await readFile(join(root, 'src/icon.svg')));
  const document = (base, preload) =>
    template
      .replaceAll('{{base}}', base)
      .replaceAll('{{script}}', name(mainPath))
      .replaceAll('{{style}}', name(assetOf('src/styles/index.css')[0]))
      .replaceAll('{{icon}}', icon)
      .replaceAll('{{licences}}', licences)
      .replaceAll('{{preload}}', preload.map((path) => `<link rel="modulepreload" href="${name(path)}">\n`).join(''));
  // A document's relative URLs start at its own folder: index.html is for `/alerts`, nested.html for `/alerts/x`.
  await writeFile(join(outdir, 'index.html'), document('./', preloads));
  await writeFile(join(outdir, 'nested.html'), document('../', []));
}

/** Returns the outputs that `paths` import before they run, themselves included. */
function reachable(metafile, paths) {
  const seen = new Set();
  const visit = (path) => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const { path: imported, kind } of metafile.outputs[path].imports) {
      if (kind === 'import-statement') visit(imported);
    }
  };
  paths.forEach(visit);
  return [...seen];
}

/** Writes the licence of every package whose code is in the build. */
async function writeLicences(metafile) {
  const folders = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const found = input.match(/^(node_modules\/(?:@[^/]+\/)?[^/]+)\//);
    if (found) folders.add(found[1]);
  }
  const parts = [];
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8'));
    const file = (await readdir(join(root, folder))).sort().find((name) => /^licen[cs]e/i.test(name));
    if (!file) throw new Error(`${relative(root, folder)} has no licence text`);
    const text = (await readFile(join(root, folder, file), 'utf8')).replaceAll('\r\n', '\n').trim();
    parts.push(`${name} ${version} (${license})\n\n${text}\n`);
  }
  return writeAsset('licences', 'txt', `${parts.join(`\n${'-'.repeat(80)}\n\n`)}`);
}

async function writeAsset(name, extension, content) {
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 8).toUpperCase();
  const path = `assets/${name}-${hash}.${extension}`;
  await mkdir(join(outdir, 'assets'), { recursive: true });
  await writeFile(join(outdir, path), content);
  return path;
}

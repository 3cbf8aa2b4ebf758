// Servers whose pages are compared: each on a free port of 127.0.0.1, with a directory of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = resolve(fileURLToPath(new URL('../..', import.meta.url)));
const BELLWETHER = resolve(process.env.BELLWETHER ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'release/bellwether'));
/** Time to collect before anything is measured. */
const WARM_UP_MS = 60_000;
const CLOCK_TICKS = 100;

/** How to run each of them in a directory on a port, and the view that people look at. */
const PROGRAMS = [
  {
    name: 'Bellwether',
    program: BELLWETHER,
    view: '/',
    ready: '/-/ready',
    run(directory, port) {
      const environment = { STATE_DIRECTORY: directory };
      return { args: ['run', '--config', join(ROOT, 'config/bellwether.yaml'), '--web.listen-address', `127.0.0.1:${port}`], environment };
    },
  },
  {
    name: 'Prometheus',
    program: 'prometheus',
    view: '/graph?g0.expr=rate(process_cpu_seconds_total%5B1m%5D)&g0.tab=0&g0.range_input=15m',
    ready: '/-/ready',
    run(directory, port) {
      const config = join(directory, 'prometheus.yml');
      writeFileSync(config, `global: {scrape_interval: 15s}\nscrape_configs: [{job_name: prometheus, static_configs: [{targets: ["127.0.0.1:${port}"]}]}]\n`);
      return { args: [`--config.file=${config}`, `--storage.tsdb.path=${join(directory, 'data')}`, `--web.listen-address=127.0.0.1:${port}`] };
    },
  },
  {
    name: 'Netdata',
    program: 'netdata',
    view: '/',
    ready: '/api/v1/info',
    run(directory, port) {
      const config = join(directory, 'netdata.conf');
      const sections = {
        global: { 'run as user': 'root' },
        directories: { cache: directory, lib: directory, log: directory },
        web: { 'bind to': '127.0.0.1', 'default port': port, 'web files owner': 'root', 'web files group': 'root' },
        'global statistics': {},
        registry: { enabled: 'no' },
        cloud: { enabled: 'no' },
      };
      const lines = Object.entries(sections).map(([name, keys]) => [`[${name}]`, ...Object.entries(keys).map(([key, value]) => `  ${key} = ${value}`)].join('\n'));
      writeFileSync(config, `${lines.join('\n')}\n`);
      return { args: ['-D', '-c', config, '-P', join(directory, 'netdata.pid')] };
    },
  },
];

function isInstalled(program) {
  const candidates = program.includes('/') ? [program] : process.env.PATH.split(delimiter).map((folder) => join(folder, program));
  return candidates.some((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** A process and its children, which Netdata has for its collectors. */
function family(pid) {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean));
  return [pid, ...children.flatMap((child) => family(Number(child)))];
}

class Server {
  constructor({ name, program, view, ready, run }, port) {
    this.name = name;
    this.directory = mkdtempSync(join(tmpdir(), 'bellwether-pages-'));
    const { args, environment } = run(this.directory, port);
    this.process = spawn(program, args, { env: { ...process.env, ...environment }, stdio: 'ignore' });
    this.url = `http://127.0.0.1:${port}${view}`;
    this.readyUrl = `http://127.0.0.1:${port}${ready}`;
  }

  async ready() {
    for (let end = Date.now() + 60_000; Date.now() < end; await sleep(100)) {
      if (this.process.exitCode !== null) break;
      if (await fetch(this.readyUrl).then((answer) => answer.ok, () => false)) return;
    }
    throw new Error(`${this.name} is not ready`);
  }

  /** Resident memory in MiB, of children too. */
  memory() {
    const resident = (pid) => Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)?.[1] ?? 0);
    return family(this.process.pid).reduce((sum, pid) => sum + resident(pid), 0) / 1024;
  }

  /** CPU seconds, of children too. */
  cpu() {
    const used = (pid) => {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
      return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
    };
    return family(this.process.pid).reduce((sum, pid) => sum + used(pid), 0);
  }

  stop() {
    this.process.once('exit', () => rmSync(this.directory, { recursive: true, force: true }));
    this.process.kill();
  }
}

/** Starts Bellwether and the peers that are installed, and waits until they have collected for a while. */
export async function servers() {
  if (!isInstalled(BELLWETHER)) throw new Error(`nothing to measure: ${BELLWETHER} is missing; hint: make build`);
  const running = [];
  try {
    for (const program of PROGRAMS.filter(({ program }) => isInstalled(program))) running.push(new Server(program, await freePort()));
    await Promise.all(running.map((server) => server.ready()));
    await sleep(WARM_UP_MS);
    return running;
  } catch (error) {
    for (const server of running) server.stop();
    throw error;
  }
}

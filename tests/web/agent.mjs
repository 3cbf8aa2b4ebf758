// A real agent on a free port, with a state directory of its own, and a receiver that rejects what it gets.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
export const BINARY = resolve(process.env.BELLWETHER ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'debug/bellwether'));
const DEADLINE = 30_000;

/** An error that waiting does not change. */
class Fatal extends Error {}

/** Waits until `check` returns something true; fails with its last error after `deadline` milliseconds, and at once with a `Fatal`. */
export async function until(what, check, deadline = DEADLINE) {
  const end = Date.now() + deadline;
  let last;
  while (Date.now() < end) {
    try {
      last = await check();
      if (last) return last;
    } catch (error) {
      if (error instanceof Fatal) throw error;
      last = error;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`not within ${deadline / 1000} s: ${what}; last: ${last}`);
}

const PORTS = 16_000;
let nextPort = process.pid * 61;

/** A port that was free a moment ago, never the same twice; below those that the system gives to connections. */
export async function freePort() {
  for (;;) {
    const port = PORTS + (nextPort++ % PORTS);
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
      return port;
    } catch (error) {
      if (error.code !== 'EADDRINUSE') throw error;
    } finally {
      server.close();
    }
  }
}

export class Agent {
  /** Starts an agent with further arguments. */
  static async start(more = []) {
    const agent = new Agent();
    agent.more = more;
    agent.state = await mkdtemp(join(tmpdir(), 'bellwether-web-'));
    agent.port = await freePort();
    agent.receiver = createServer((request, response) => {
      request.resume();
      response.writeHead(400).end('no such room');
    }).listen(0, '127.0.0.1');
    await once(agent.receiver, 'listening');
    await agent.run();
    return agent;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts the process, also after `kill`. */
  async run() {
    const config = join(ROOT, 'tests/web/agent.yaml');
    const environment = { ...process.env, STATE_DIRECTORY: this.state, REJECTING_URL: `http://127.0.0.1:${this.receiver.address().port}/` };
    this.process = spawn(BINARY, ['run', '--config', config, '--web.listen-address', `127.0.0.1:${this.port}`, ...this.more], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    this.output = '';
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on('data', (chunk) => (this.output += chunk));
    this.process.on('error', (error) => (this.output += error));
    this.process.on('exit', (code) => (this.output += `exit ${code}`));
    await until('the agent is ready', async () => {
      if (this.process.exitCode !== null) throw new Fatal(this.output);
      return (await fetch(`${this.url}/-/ready`)).ok;
    });
  }

  async kill(signal = 'SIGKILL') {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = once(this.process, 'exit');
    this.process.kill(signal);
    await gone;
  }

  async stop() {
    await this.kill('SIGTERM');
    this.receiver.close();
    await rm(this.state, { recursive: true, force: true });
  }

  async get(path) {
    const answer = await (await fetch(`${this.url}/${path}`)).json();
    if (answer.status !== 'success') throw new Error(`${path}: ${answer.error}`);
    return answer.data;
  }

  async setQueue(name, value) {
    const body = JSON.stringify([{ metric: 'queue_length', labels: { queue_name: name }, set: value }]);
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${this.url}/api/v1/record`, { method: 'POST', body, headers });
    if (!answer.ok) throw new Error(await answer.text());
  }

  /** Has an alert `backlog` for a queue, and returns it. */
  async fire(queue) {
    await this.setQueue(queue, 310);
    return until(`backlog of ${queue} fires`, () => this.alert(queue));
  }

  async alert(queue) {
    const { alerts } = await this.get('api/v1/alerts');
    return alerts.find((alert) => alert.state === 'firing' && alert.labels.queue_name === queue);
  }
}

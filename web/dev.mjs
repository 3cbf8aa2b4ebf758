// Serves web/dist on 127.0.0.1:9191 and sends everything else to a running agent (AGENT, default http://127.0.0.1:9091), so
// that the page can be worked on with `npm run watch` and no build of the agent.
import { createServer, request } from 'node:http';
import { readFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = process.env.OUT_DIR ?? join(dirname(fileURLToPath(import.meta.url)), 'dist');
const agent = new URL(process.env.AGENT ?? 'http://127.0.0.1:9091');
const port = Number(process.env.PORT ?? 9191);
// As the agent has it, so that a violation is seen early.
const POLICY = "default-src 'self'; base-uri 'self'; form-action 'self'; object-src 'none'; frame-ancestors 'none'";
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.txt': 'text/plain' };

const server = createServer(async (incoming, outgoing) => {
  const { pathname } = new URL(incoming.url, 'http://x');
  if (/^\/(api|ws|metrics|-)(\/|$)/.test(pathname)) return proxy(incoming, outgoing);
  const asset = pathname.match(/^\/(assets\/[\w.-]+)$/)?.[1];
  const file = asset ?? (pathname.split('/').length > 2 ? 'nested.html' : 'index.html');
  try {
    const content = await readFile(join(dist, file));
    outgoing.setHeader('Content-Security-Policy', POLICY);
    outgoing.setHeader('Content-Type', TYPES[extname(file)] ?? 'text/html; charset=utf-8');
    outgoing.end(content);
  } catch {
    outgoing.writeHead(404).end();
  }
});

function proxy(incoming, outgoing) {
  const { method, headers, url } = incoming;
  const up = request({ host: agent.hostname, port: agent.port, method, path: url, headers: { ...headers, host: agent.host, origin: agent.origin } });
  up.on('response', (answer) => answer.pipe(outgoing.writeHead(answer.statusCode, answer.headers)));
  up.on('error', () => outgoing.destroy());
  incoming.pipe(up);
}

server.on('upgrade', (incoming, socket, head) => {
  const headers = { ...incoming.headers, host: agent.host, origin: agent.origin };
  const up = request({ host: agent.hostname, port: agent.port, path: incoming.url, headers });
  up.on('upgrade', (answer, far) => {
    const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}`);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`);
    far.write(head);
    far.pipe(socket).pipe(far);
    socket.on('error', () => far.destroy());
    far.on('error', () => socket.destroy());
  });
  up.on('response', () => socket.destroy());
  up.on('error', () => socket.destroy());
  up.end();
});

server.listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${port}/ with ${agent.href}`));

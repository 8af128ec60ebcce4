import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { HealthServer } from './health-server.js';

const ok = { ok: true, reasons: [] };
const not = { ok: false, reasons: ['no coordinator has let this worker in'] };

async function start(): Promise<HealthServer> {
  const server = await HealthServer.start({ host: '127.0.0.1', port: 0 }, { liveness: () => ok, readiness: () => not });
  onTestFinished(() => server.close());
  return server;
}

async function ask(port: number, path: string, method = 'GET'): Promise<{ readonly status: number | undefined; readonly headers: IncomingMessage['headers']; readonly body: string }> {
  const sent = request({ host: '127.0.0.1', port, path, method, agent: false });
  sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks).toString() };
}

/** What a connection gets for these bytes until it is closed. */
async function send(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  let got = '';
  socket.on('data', (chunk: Buffer) => (got += chunk.toString()));
  socket.write(bytes);
  await once(socket, 'close');
  return got;
}

it('answers probes, each with its own state, and keeps no connection', async () => {
  const { port } = await start();
  const live = await ask(port, '/healthz');
  expect([live.status, JSON.parse(live.body)]).toEqual([200, ok]);
  expect(live.headers).toMatchObject({ connection: 'close', 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' });
  const ready = await ask(port, '/readyz');
  expect([ready.status, JSON.parse(ready.body)]).toEqual([503, not]);
});

it('tells nothing else', async () => {
  const { port } = await start();
  for (const path of ['/', '/healthz/', '/healthz?x=1', '/HEALTHZ', '/metrics', '/__proto__', '/constructor', '/toString']) expect(await ask(port, path), path).toMatchObject({ status: 404, body: '' });
  for (const method of ['POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS']) expect(await ask(port, '/healthz', method), method).toMatchObject({ status: 405, headers: { allow: 'GET' }, body: '' });
});

it('reads neither bodies nor large headers, and closes what is not HTTP', async () => {
  const { port } = await start();
  expect(await send(port, `POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n${'x'.repeat(1_000)}`)).toMatch(/^HTTP\/1\.1 405 /);
  expect(await send(port, `GET /healthz HTTP/1.1\r\nhost: x\r\na: ${'b'.repeat(10_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  expect(await send(port, 'hello\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  expect((await ask(port, '/healthz')).status).toBe(200);
});

it('answers although many connections stand still, and leaves with them open', async () => {
  const server = await HealthServer.start({ host: '127.0.0.1', port: 0 }, { liveness: () => ok, readiness: () => ok });
  const idle = Array.from({ length: 20 }, () => connect(server.port, '127.0.0.1').on('error', () => undefined));
  await Promise.all(idle.map((socket) => once(socket, 'connect')));
  expect((await ask(server.port, '/readyz')).status).toBe(200);
  await server.close();
  await Promise.all(idle.map(async (socket) => socket.closed || once(socket.resume(), 'close')));
});

it('says which option is to blame when its port is taken', async () => {
  const { port } = await start();
  await expect(HealthServer.start({ host: '127.0.0.1', port }, { liveness: () => ok, readiness: () => ok })).rejects.toMatchObject({ code: 'UNAVAILABLE', field: '--health-port' });
});

it('listens on all interfaces unless told', async () => {
  const server = await HealthServer.start({ port: 0 }, { liveness: () => ok, readiness: () => ok });
  onTestFinished(() => server.close());
  expect((await ask(server.port, '/healthz')).status).toBe(200);
});

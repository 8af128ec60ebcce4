/**
 * Bulk streams over loopback: gradients (client streaming) and parameters (server streaming) through gRPC as the product
 * uses it, beside raw http2 with the same windows, in one run; then the same through a proxy with a 20 ms round trip.
 * Client, server and proxy are separate processes. `node bench/stream.mjs [--mebibytes 64] [--rounds 7] [--chunk-kib 1024]`
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import { parseArgs } from 'node:util';
import { createClient, createServer, receiveBulk, sendBulk, WorkerService } from '../packages/proto/dist/index.js';
import { startDelayProxy } from '../test/support/delay-proxy.mjs';

const { values } = parseArgs({
  options: {
    mebibytes: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '7' },
    'chunk-kib': { type: 'string', default: '1024' },
    role: { type: 'string', default: 'client' },
    ports: { type: 'string', default: '' },
  },
});
const totalBytes = Number(values.mebibytes) * 1024 ** 2;
const rounds = Number(values.rounds);
const chunkBytes = Number(values['chunk-kib']) * 1024;
const windowBytes = 16 * 1024 ** 2;
const payload = new Uint8Array(totalBytes).fill(7);
const header = { totalBytes, name: 'generator', dtype: 'float32', shape: [totalBytes / 4] };

const roles = { client: measure, server: serve, proxy };
await roles[values.role]();

async function serve() {
  const unused = () => Promise.reject(new Error('not measured'));
  const grpc = createServer({ windowBytes });
  grpc.add(WorkerService, {
    control: unused,
    getProgram: unused,
    getAsset: unused,
    getParameters: async (_request, stream) => {
      await sendBulk(stream, header, [payload], { chunkBytes });
    },
    pushGradient: async (stream) => {
      await receiveBulk(stream, { maxBytes: totalBytes, onChunk: () => undefined });
      return { accepted: true };
    },
  });
  const grpcPort = await grpc.listen('127.0.0.1:0');

  const raw = http2.createServer({ settings: { initialWindowSize: windowBytes } });
  raw.on('session', (session) => session.setLocalWindowSize(windowBytes));
  raw.on('stream', (stream, headers) => {
    stream.respond({ ':status': 200 });
    if (headers[':method'] === 'GET') void write(stream);
    else stream.resume().on('end', () => stream.end());
  });
  raw.listen(0, '127.0.0.1');
  await once(raw, 'listening');

  process.on('message', () => process.send({ cpuMs: cpuMs() }));
  process.on('disconnect', () => process.exit(0));
  process.send({ grpcPort, http2Port: raw.address().port });
}

async function measure() {
  const child = start('server');
  const [{ grpcPort, http2Port }] = await once(child, 'message');
  const distance = start('proxy', `${grpcPort},${http2Port}`);
  const [[grpcFar, http2Far]] = await once(distance, 'message');
  const serverCpu = async () => {
    child.send('cpu');
    return (await once(child, 'message'))[0].cpuMs;
  };
  console.log(`${values.mebibytes} MiB, chunks of ${values['chunk-kib']} KiB, windows of 16 MiB, median of ${rounds}`);
  const paths = [
    ['loopback', grpcPort, http2Port],
    ['20 ms round trip', grpcFar, http2Far],
  ];
  for (const [path, grpcAt, http2At] of paths) {
    const client = createClient(WorkerService, `127.0.0.1:${grpcAt}`, { windowBytes });
    const session = http2.connect(`http://127.0.0.1:${http2At}`, { settings: { initialWindowSize: windowBytes } });
    await once(session, 'remoteSettings');
    session.setLocalWindowSize(windowBytes);
    await client.ready(5_000);
    const cases = {
      'http2 up': () => rawUpload(session),
      'gRPC gradient': () => gradient(client),
      'http2 down': () => rawDownload(session),
      'gRPC parameters': () => parameters(client),
    };
    const samples = Object.fromEntries(Object.keys(cases).map((name) => [name, []]));
    // Interleaved, so that whatever else the machine does meets all cases alike; the first round warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const [name, run] of Object.entries(cases)) {
        const before = { server: await serverCpu(), client: cpuMs(), at: performance.now() };
        await run();
        const ms = performance.now() - before.at;
        const sample = { ms, client: cpuMs() - before.client, server: (await serverCpu()) - before.server };
        if (round > 0) samples[name].push(sample);
      }
    }
    report(path, samples);
    client.close();
    session.close();
  }
  child.disconnect();
  distance.disconnect();
}

function start(role, ports = '') {
  return fork(process.argv[1], [...process.argv.slice(2), '--role', role, '--ports', ports]);
}

async function proxy() {
  const proxies = await Promise.all(values.ports.split(',').map((port) => startDelayProxy(Number(port), 10)));
  process.on('disconnect', () => process.exit(0));
  process.send(proxies.map(({ port }) => port));
}

function report(path, samples) {
  const speed = (name) => totalBytes / 1e3 / median(samples[name].map((sample) => sample.ms));
  const rows = Object.keys(samples).map((name) => ({
    [path]: name,
    'MB/s': Math.round(speed(name)),
    'of http2': (speed(name) / speed(name.endsWith('up') || name.endsWith('gradient') ? 'http2 up' : 'http2 down')).toFixed(2),
    'CPU ms client': Math.round(median(samples[name].map((sample) => sample.client))),
    'CPU ms server': Math.round(median(samples[name].map((sample) => sample.server))),
  }));
  console.table(rows);
}

async function gradient(client) {
  const { stream, response } = client.pushGradient();
  await sendBulk(stream, header, [payload], { chunkBytes });
  await response;
}

async function parameters(client) {
  await receiveBulk(client.getParameters({ source: 'generator' }), { maxBytes: totalBytes, onChunk: () => undefined });
}

async function rawUpload(session) {
  const stream = session.request({ ':method': 'POST' });
  await write(stream);
  stream.resume();
  await once(stream, 'end');
}

async function rawDownload(session) {
  const stream = session.request({ ':method': 'GET' });
  stream.resume();
  await once(stream, 'end');
}

async function write(stream) {
  for (let offset = 0; offset < totalBytes; offset += chunkBytes) {
    if (!stream.write(payload.subarray(offset, offset + chunkBytes))) await once(stream, 'drain');
  }
  stream.end();
}

function cpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

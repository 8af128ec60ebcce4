import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { EventStreams } from './event-streams.js';

/** Requests, each with the response that it waits for. */
async function connections(count: number): Promise<readonly { readonly socket: Socket; readonly response: ServerResponse; text: () => string }[]> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const all = [];
  for (let index = 0; index < count; index++) {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('error', () => undefined);
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    const [, response] = (await once(server, 'request')) as [unknown, ServerResponse];
    all.push({ socket, response, text: () => text });
  }
  return all;
}

/** Lets what is on its way arrive. */
async function arrive(until: () => boolean): Promise<void> {
  for (let turn = 0; turn < 20_000 && !until(); turn++) await new Promise((resolve) => setImmediate(resolve));
}

it('bounds the streams that are open, and lets go of readers that stand still', async () => {
  const [alive, dead, third] = await connections(3);
  if (!alive || !dead || !third) throw new Error('no connections');
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const streams = new EventStreams(2);
  const living = streams.open(alive.response, {});
  const stuck = streams.open(dead.response, {});
  expect(() => streams.open(third.response, {})).toThrow(expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', retryable: true }));

  dead.socket.pause();
  // More than the buffers of both ends of the connection take.
  for (let sent = 0; sent < 64; sent++) stuck.send(Buffer.alloc(1_000_000));
  await arrive(() => false);
  expect(stuck.isBehind).toBe(true);
  const ready = vi.fn();
  stuck.onReady = ready;
  vi.advanceTimersByTime(50_000);
  await arrive(() => (alive.text().match(/^: still here$/gm) ?? []).length === 3);
  expect(alive.text().match(/^: still here$/gm)).toHaveLength(3);
  expect([living.isBehind, dead.response.destroyed]).toEqual([false, false]);
  vi.advanceTimersByTime(100_000);
  expect(dead.response.destroyed).toBe(true);
  expect(ready).not.toHaveBeenCalled();
  await arrive(() => streams.size === 1);
  expect(streams.size).toBe(1);

  streams.open(third.response, {});
  streams.close();
  await arrive(() => alive.text().includes('stops') && third.text().includes('stops'));
  expect(alive.text()).toContain(': the server stops');
  expect(() => streams.requirePlace()).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }));
});

it('tells when a slow reader has caught up', async () => {
  const [slow] = await connections(1);
  if (!slow) throw new Error('no connection');
  const streams = new EventStreams(1);
  onTestFinished(() => streams.close());
  const stream = streams.open(slow.response, { 'x-test': 'yes' });
  slow.socket.pause();
  while (!stream.isBehind) stream.send(Buffer.alloc(1_000_000, ':'));
  const caughtUp = new Promise<void>((resolve) => (stream.onReady = resolve));
  expect(stream.behindMs(performance.now() + 1_000)).toBeGreaterThanOrEqual(1_000);
  slow.socket.resume();
  await caughtUp;
  await arrive(() => slow.text().length > 0);
  expect([stream.isBehind, stream.behindMs(performance.now())]).toEqual([false, 0]);
  expect(slow.text()).toMatch(/^HTTP\/1\.1 200 OK\r\nx-test: yes\r\ncontent-type: text\/event-stream/);
});

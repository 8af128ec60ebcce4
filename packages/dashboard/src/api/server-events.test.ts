import { expect, it } from 'vitest';
import { parseServerEvent, readServerEvents, type ServerEvent } from './server-events.js';

const read = async (text: string, size: number): Promise<ServerEvent[]> => {
  const bytes = new TextEncoder().encode(text);
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
      controller.close();
    },
  });
  const events: ServerEvent[] = [];
  for await (const event of readServerEvents(new Response(body))) events.push(event);
  return events;
};

it.each([1, 2, 3, 5, 1000])('reads the same events from pieces of %i bytes', async (size) => {
  const text = 'event: run\nid: 7\ndata: {"a":"ü€"}\n\n: heartbeat\n\ndata: one\r\ndata:two\r\n\r\ndata: never finished';
  expect(await read(text, size)).toEqual([
    { name: 'run', data: '{"a":"ü€"}', id: '7' },
    { name: 'message', data: 'one\ntwo', id: '' },
  ]);
});

it('takes no event from lines without data', () => {
  expect(parseServerEvent([': still here'])).toBeUndefined();
  expect(parseServerEvent(['event: end'])).toBeUndefined();
  expect(parseServerEvent(['data'])).toEqual({ name: 'message', data: '', id: '' });
});

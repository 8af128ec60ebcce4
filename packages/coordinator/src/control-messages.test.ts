import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { ControlMessages } from './control-messages.js';

function messages(): { readonly stream: PassThrough; readonly control: ControlMessages<string>; readonly read: string[]; readonly over: Promise<void> } {
  const stream = new PassThrough({ objectMode: true });
  const control = new ControlMessages<string>(stream);
  const read: string[] = [];
  const over = (async () => {
    for await (const message of control.read()) {
      read.push(message);
      if (message === 'stop') control.stop();
    }
  })();
  return { stream, control, read, over };
}

it('reads a stream to its end', async () => {
  const { stream, read, over } = messages();
  stream.write('a');
  stream.end('b');
  await over;
  expect(read).toEqual(['a', 'b']);
});

it('stops while it waits and while a message is handled, and leaves the stream open', async () => {
  const waiting = messages();
  waiting.control.stop();
  await waiting.over;
  expect(waiting.stream.destroyed).toBe(false);
  const handling = messages();
  handling.stream.write('stop');
  handling.stream.write('later');
  await handling.over;
  expect(handling.read).toEqual(['stop']);
});

it('throws the first error that it is stopped with, or the stream breaks with', async () => {
  const stopped = messages();
  stopped.control.stop(new Error('silent'));
  stopped.control.stop(new Error('later'));
  await expect(stopped.over).rejects.toThrow('silent');
  const broken = messages();
  broken.stream.destroy(new Error('connection lost'));
  await expect(broken.over).rejects.toThrow('connection lost');
});

import { parentPort, workerData } from 'node:worker_threads';
import { toRecord } from '@dd2/engine/error-record';
import { SeriesLibrary } from './series-library.js';
import type { SeriesMessage, SeriesReply, SeriesThreadData } from './series-reader.js';

/** The message loop of the thread that reads metrics and answers from them. */
const port = parentPort;
if (!port) throw new Error('series-thread.ts runs in a worker thread');

const { cacheDir, knownRuns } = workerData as SeriesThreadData;
const library = new SeriesLibrary({ cacheDir });
const reply = (message: SeriesReply, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);
library.prune(knownRuns);
setInterval(() => library.dropIdle(), 60_000).unref();

async function carryOut(message: SeriesMessage): Promise<void> {
  const { id } = message;
  switch (message.op) {
    case 'answer':
      return reply({ id, answer: await library.answer(message.run, message.query) });
    case 'json': {
      const bytes = new Uint8Array(await library.compressedJson(message.run, message.query)); // a copy of its own: others may get the same
      return reply({ id, bytes }, [bytes.buffer]);
    }
    case 'follow':
      await library.follow(message.runs);
      return reply({ id });
    case 'prepare':
      await library.prepare(message.runs);
      return reply({ id });
    case 'close':
      library.close();
      return reply({ id });
  }
}

port.on('message', (message: SeriesMessage) => {
  carryOut(message).catch((error: unknown) => {
    reply({ id: message.id, error: toRecord(error) });
  });
});

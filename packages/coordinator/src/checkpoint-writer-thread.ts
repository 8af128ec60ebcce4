import { parentPort } from 'node:worker_threads';
import { Dd2Error } from '@dd2/core';
import { writeCheckpointFile } from './checkpoint-file.js';
import type { WriterMessage, WriterReply } from './checkpoint-writer.js';
import { lowerPriority } from './low-priority.js';
import { bytesOfRange } from './state-copy.js';

/** The message loop of the thread that writes and hashes the files of checkpoints. */
const port = parentPort;
if (!port) throw new Error('checkpoint-writer-thread.ts runs in a worker thread');

lowerPriority();

port.on('message', ({ id, path, tensors, copy }: WriterMessage) => {
  const reply = (message: WriterReply): void => port.postMessage(message);
  try {
    reply({ id, digest: writeCheckpointFile(path, tensors, (vector, offset, size) => bytesOfRange(copy[vector] ?? [], offset, size)) });
  } catch (error) {
    reply({ id, failure: Dd2Error.from(error).message });
  }
});

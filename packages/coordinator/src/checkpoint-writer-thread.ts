import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { Dd2Error } from '@dd2/core';
import { writeCheckpointFile } from './checkpoint-file.js';
import type { WriterMessage, WriterReply } from './checkpoint-writer.js';
import { bytesOfRange } from './state-copy.js';

/** The message loop of the thread that writes and hashes the files of checkpoints. */
const port = parentPort;
if (!port) throw new Error('checkpoint-writer-thread.ts runs in a worker thread');

// Updates come first where cores are few. Only Linux has a priority for each thread; elsewhere it would be the process's.
if (process.platform === 'linux') setPriority(10);

port.on('message', ({ id, path, tensors, copy }: WriterMessage) => {
  const reply = (message: WriterReply): void => port.postMessage(message);
  try {
    reply({ id, digest: writeCheckpointFile(path, tensors, (vector, offset, size) => bytesOfRange(copy[vector] ?? [], offset, size)) });
  } catch (error) {
    reply({ id, failure: Dd2Error.from(error).message });
  }
});

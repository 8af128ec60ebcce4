import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { Dd2Error } from '@dd2/core';
import { Kernels } from '@dd2/engine';
import { Aggregator, SHARD_BYTES } from './aggregator.js';
import type { AggregatorMessage, AggregatorReply } from './aggregators.js';
import type { Span } from './reduction-tree.js';

/** The message loop of one aggregator thread: commands are carried out and answered in order. */
const port = parentPort;
if (!port) throw new Error('aggregator-thread.ts runs in a worker thread');

const aggregator = new Aggregator(Kernels.create());
const reply = (message: AggregatorReply): void => port.postMessage(message);

function contribute(update: number, span: Span, shard: number, fill: (target: Float32Array) => void): boolean {
  const { finite, sumOfSquares } = aggregator.contribute(update, span, shard, fill);
  if (sumOfSquares !== undefined) reply({ event: 'reduced', update, shard, sumOfSquares });
  return finite;
}

/** Reads this thread's shards of a gradient of `size` elements from a file of the local exchange, straight into place. */
function contributeFile(update: number, span: Span, path: string, size: number): boolean {
  const file = openGradient(path);
  try {
    const stats = fstatSync(file);
    if (!stats.isFile() || stats.size !== size * 4) {
      throw new Dd2Error('PROTOCOL', `a gradient of ${stats.size} bytes arrived, ${size * 4} bytes of float32 were expected`, { field: 'gradient_file' });
    }
    const finite = aggregator.reducing.map((shard) =>
      contribute(update, span, shard, (target) => {
        const read = readSync(file, new Uint8Array(target.buffer, target.byteOffset, target.byteLength), 0, target.byteLength, shard * SHARD_BYTES);
        if (read !== target.byteLength) throw new Dd2Error('PROTOCOL', 'a gradient file ends early', { field: 'gradient_file' });
      }),
    );
    return finite.every((shard) => shard);
  } finally {
    closeSync(file);
  }
}

/** A worker made the file: a link or a pipe must not lead this thread elsewhere or block it. */
function openGradient(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    throw new Dd2Error('UNAVAILABLE', `a gradient file cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`, { field: 'gradient_file', cause });
  }
}

/** Writes this thread's shards of a vector to their places in a file that all threads write together. */
function writeShards(vector: string, path: string): void {
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    for (const [shard, view] of aggregator.views(vector)) {
      for (let written = 0; written < view.byteLength; ) {
        written += writeSync(file, new Uint8Array(view.buffer, view.byteOffset, view.byteLength), written, view.byteLength - written, shard * SHARD_BYTES + written);
      }
    }
  } finally {
    closeSync(file);
  }
}

let copying = false;

/** Goes on with snapshots between two commands, a shard at a time. */
function copyAtLeisure(): void {
  if (copying) return;
  copying = true;
  setImmediate(() => {
    copying = false;
    if (aggregator.copyNext()) copyAtLeisure();
  });
}

port.on('message', (message: AggregatorMessage) => {
  try {
    switch (message.op) {
      case 'contribute': {
        const { id, update, span, shard, data } = message;
        reply({ event: 'done', id, finite: contribute(update, span, shard, (target) => target.set(new Float32Array(data))) });
        return;
      }
      case 'contributeFile': {
        const { id, update, span, path, size } = message;
        reply({ event: 'done', id, finite: contributeFile(update, span, path, size) });
        return;
      }
      case 'write':
        writeShards(message.vector, message.path);
        break;
      case 'snapshot': {
        const { id, parts, first } = message;
        aggregator.snapshot(parts, first, () => reply({ event: 'done', id }));
        copyAtLeisure();
        return;
      }
      case 'load':
        for (const { shard, data } of message.shards) aggregator.load(message.vector, shard, new Float32Array(data));
        break;
      case 'copy':
        aggregator.copy(message.from, message.to);
        break;
      case 'zero':
        aggregator.zero(message.vector, message.like);
        break;
      case 'open':
        aggregator.open(message.update, message.network, message.microBatches);
        break;
      case 'optimize':
        aggregator.optimize(message.step);
        break;
    }
    reply({ event: 'done', id: message.id });
  } catch (error) {
    const { code, message: text } = Dd2Error.from(error);
    reply({ event: 'failed', id: message.id, code, message: text });
  }
});

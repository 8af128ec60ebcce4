/** The thread's side of `Engine`: takes messages in order, one at a time, and answers requests. */
import { parentPort, workerData } from 'node:worker_threads';
import type { EngineNotice, EngineRequest, FromThread, ToThread } from './engine-protocol.js';
import type { EngineOptions, EngineResult } from './engine-task.js';
import { toRecord } from './error-record.js';
import { Executor } from './executor.js';
import { writeGradient } from './gradient-file.js';
import { tryProvider } from './session.js';

const port = parentPort;
if (port === null) throw new Error('engine-thread.js is started by Engine.start');

const options = workerData as EngineOptions;
const executor = new Executor(options);
let previous = Promise.resolve();

port.on('message', (message: ToThread) => {
  previous = previous.then(() => handle(message));
});

async function handle(message: ToThread): Promise<void> {
  if ('notice' in message) return obey(message.notice);
  const { id, request } = message;
  try {
    const value = await answer(request);
    send({ id, value }, value === undefined ? [] : buffersOf(value));
  } catch (thrown) {
    send({ id, error: toRecord(thrown) }, []);
  }
}

function obey(notice: EngineNotice): void {
  switch (notice.kind) {
    case 'write':
      return executor.parameters.write(notice.key, notice.size, notice.offset, notice.bytes);
    case 'drop':
      return executor.parameters.drop(notice.key);
    case 'asset':
      executor.assets.set(notice.key, notice.tensor);
      return;
    case 'dropAsset':
      executor.assets.delete(notice.key);
  }
}

async function answer(request: EngineRequest): Promise<EngineResult | undefined> {
  switch (request.kind) {
    case 'probe':
      await tryProvider(options);
      return undefined;
    case 'load':
      await executor.load(request.program, request.definition);
      return undefined;
    case 'unload':
      await executor.unload(request.program);
      return undefined;
    case 'readParameters':
      executor.parameters.readFile(request.key, request.size, request.path);
      return undefined;
    case 'execute': {
      const { gradient, ...rest } = await executor.execute(request.task);
      const { gradientFile } = request.task;
      if (gradient === undefined || gradientFile === undefined) return { ...rest, ...(gradient && { gradient }) };
      writeGradient(gradientFile, gradient);
      return rest;
    }
    case 'close':
      await executor.close();
      return undefined;
  }
}

function send(message: FromThread, transfer: ArrayBuffer[]): void {
  port?.postMessage(message, transfer);
}

/** Everything large in a result moves to the main thread without a copy; two results may share a buffer. */
function buffersOf(result: EngineResult): ArrayBuffer[] {
  const arrays = result.results.flatMap((record) => Object.values(record).map((tensor) => tensor.data));
  const buffers = new Set(arrays.map((data) => data.buffer as ArrayBuffer));
  if (result.gradient !== undefined) buffers.add(result.gradient.buffer);
  return [...buffers];
}

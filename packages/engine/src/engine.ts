import './telemetry.js';
import { Worker } from 'node:worker_threads';
import { Dd2Error, type HostTensor, type Program } from '@dd2/core';
import type { EngineNotice, EngineRequest, FromThread, ToThread } from './engine-protocol.js';
import type { EngineOptions, EngineResult, EngineTask } from './engine-task.js';
import { fromRecord } from './error-record.js';
import { probeInChild, providerUnavailable } from './provider.js';
import { transferable } from './transferable.js';

interface Pending {
  readonly resolve: (value: EngineResult | undefined) => void;
  readonly reject: (error: Dd2Error) => void;
}

/**
 * Executes programs on ONNX Runtime in a thread of its own, so that the caller's event loop never waits for a matmul.
 * Calls take effect in the order in which they are made: a task sees all parameters and assets written before it.
 * The owner must `close` it: an open engine keeps the process alive.
 */
export class Engine {
  private readonly pending = new Map<number, Pending>();
  private nextId = 0;
  /** why no call can be made any more */
  private ended: Dd2Error | undefined;
  private closed: Promise<void> | undefined;

  private constructor(private readonly thread: Worker) {
    thread.on('message', (message: FromThread) => this.settle(message));
    thread.on('error', (cause) => this.end(threadEnded(cause)));
    thread.on('exit', () => this.end(threadEnded()));
  }

  /**
   * Starts the thread after a tiny session has shown that the execution provider works.
   * @throws Dd2Error PROVIDER_UNAVAILABLE, INVALID_ARGUMENT
   */
  static async start(options: EngineOptions): Promise<Engine> {
    if (!Number.isInteger(options.intraOpThreads) || options.intraOpThreads < 1) {
      throw new Dd2Error('INVALID_ARGUMENT', `An engine needs at least one thread, got ${options.intraOpThreads}`, { field: 'intraOpThreads' });
    }
    await probeInChild(options);
    const engine = new Engine(new Worker(new URL('./engine-thread.js', import.meta.url), { workerData: options, name: 'dd2-engine' }));
    try {
      await engine.request({ kind: 'probe' });
      return engine;
    } catch (cause) {
      await engine.thread.terminate();
      throw providerUnavailable(options, cause);
    }
  }

  /**
   * Creates the sessions of a program under an id; an id that is loaded already is replaced.
   * @throws Dd2Error INVALID_ARGUMENT (inconsistent signature), UNSUPPORTED_OPERATION (a graph that the provider cannot run)
   */
  async loadProgram(id: string, program: Program): Promise<void> {
    await this.request({ kind: 'load', program: id, definition: program });
  }

  /** Frees the sessions; an unknown id is ignored. */
  async unloadProgram(id: string): Promise<void> {
    await this.request({ kind: 'unload', program: id });
  }

  /**
   * Writes raw float32 bytes (little-endian) at element `offset` of the buffer `key`, which has `size` elements. Until all of
   * them have been written once, tasks that use the key fail; another `size` starts the buffer anew.
   * The bytes' whole ArrayBuffer is transferred: do not touch it afterwards. (Views of much larger buffers are copied.)
   * @throws Dd2Error INVALID_ARGUMENT when the range does not fit
   */
  writeParameters(key: string, size: number, offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.byteLength / 4;
    if (!Number.isInteger(size) || !Number.isInteger(offset) || !Number.isInteger(end) || offset < 0 || end > size) {
      throw new Dd2Error('INVALID_ARGUMENT', `Elements [${offset}, ${end}) do not fit parameters of ${size} elements`, { field: key });
    }
    const owned = transferable(bytes);
    this.notify({ kind: 'write', key, size, offset, bytes: owned }, [owned.buffer]);
  }

  /**
   * Reads all elements of the buffer `key` from a file of raw float32 bytes, straight into place.
   * @throws Dd2Error ASSET_MISSING when the file is not there or has another size; the key then holds nothing
   */
  async readParameters(key: string, size: number, path: string): Promise<void> {
    await this.request({ kind: 'readParameters', key, size, path });
  }

  /** Frees a buffer; an unknown key is ignored. */
  dropParameters(key: string): void {
    this.notify({ kind: 'drop', key });
  }

  /** Gives the thread a copy of a tensor under a name, in place of an earlier one. */
  setAsset(name: string, tensor: HostTensor): void {
    const elements = tensor.shape.reduce((product, size) => product * size, 1);
    if (tensor.data.length !== elements) {
      throw new Dd2Error('INVALID_ARGUMENT', `An asset of shape [${tensor.shape.join(', ')}] has ${elements} elements, not ${tensor.data.length}`, { field: name });
    }
    const data = tensor.data.slice();
    this.notify({ kind: 'asset', key: name, tensor: { ...tensor, data } }, [data.buffer]);
  }

  /** Frees a tensor; an unknown name is ignored. */
  dropAsset(name: string): void {
    this.notify({ kind: 'dropAsset', key: name });
  }

  /**
   * Runs the micro-batches of a task; tasks wait for each other. Given tensors are copied.
   * @throws Dd2Error INVALID_ARGUMENT, ASSET_MISSING, INTERNAL (the runtime refused a graph); details name program and stage
   */
  async execute(task: EngineTask): Promise<EngineResult> {
    const { owned, transfer } = withOwnTensors(task);
    const result = await this.request({ kind: 'execute', task: owned }, transfer);
    if (result === undefined) throw new Dd2Error('INTERNAL', 'The engine thread answered a task without a result');
    return result;
  }

  /** Ends the thread once the calls made before are done, and frees everything. Later calls are refused. */
  close(): Promise<void> {
    this.closed ??= this.shutDown();
    return this.closed;
  }

  private async shutDown(): Promise<void> {
    const released = this.request({ kind: 'close' });
    this.ended ??= new Dd2Error('CANCELLED', 'The engine is closed');
    // A thread that ended by itself has nothing left to release.
    await released.catch(() => undefined);
    await this.thread.terminate();
  }

  private request(request: EngineRequest, transfer: ArrayBuffer[] = []): Promise<EngineResult | undefined> {
    const ended = this.ended;
    if (ended !== undefined) return Promise.reject(ended);
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.thread.postMessage({ id, request } satisfies ToThread, transfer);
    });
  }

  private notify(notice: EngineNotice, transfer: ArrayBuffer[] = []): void {
    if (this.ended !== undefined) throw this.ended;
    this.thread.postMessage({ notice } satisfies ToThread, transfer);
  }

  private settle(message: FromThread): void {
    const pending = this.pending.get(message.id);
    this.pending.delete(message.id);
    if ('error' in message) pending?.reject(fromRecord(message.error));
    else pending?.resolve(message.value);
  }

  private end(reason: Dd2Error): void {
    this.ended ??= reason;
    for (const pending of this.pending.values()) pending.reject(reason);
    this.pending.clear();
  }
}

/** A message copies the whole buffer behind a view: each tensor gets a buffer of its own, which then moves. */
function withOwnTensors(task: EngineTask): { readonly owned: EngineTask; readonly transfer: ArrayBuffer[] } {
  const transfer: ArrayBuffer[] = [];
  const own = (tensor: HostTensor): HostTensor => {
    const data = tensor.data.slice();
    transfer.push(data.buffer);
    return { ...tensor, data };
  };
  const microBatches = task.microBatches.map(({ index, given = {} }) => ({ index, given: Object.fromEntries(Object.entries(given).map(([name, tensor]) => [name, own(tensor)])) }));
  return { owned: { ...task, microBatches }, transfer };
}

function threadEnded(cause?: unknown): Dd2Error {
  return new Dd2Error('UNAVAILABLE', 'The engine thread ended unexpectedly', {
    remedy: 'Start a new engine; if it happens again, the device or the machine is out of memory',
    cause,
  });
}

import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, utimes, type FileHandle } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { assetErrors, syncFolder, systemCode, unreadableFile } from '@dd2/assets';
import { Dd2Error } from '@dd2/core';
import { parseExportSampler } from '@dd2/models';
import { ExportFormat, type ExportRunResponseSchema, type MessageInitShape } from '@dd2/proto';
import { listCheckpoints, loadManifest, type CheckpointManifest } from '../checkpoint.js';
import { noCheckpoint } from '../checkpoint-list.js';
import { Places } from '../places.js';
import type { RunEvaluations } from '../run-evaluations.js';
import { namesIn, type RunFolder } from '../run-folder.js';
import { specSha256 } from '../submission.js';
import { runInThread } from '../task-thread.js';
import type { ExportKind, ExportTask } from './export-file.js';

export interface ExportRequest {
  /** the best by FID, or the newest when none is measured, unless told */
  readonly update?: number | undefined;
  readonly format: ExportFormat;
  /** of ONNX; empty for one-step */
  readonly sampler: string;
}

const FOLDER = 'export';
const UNFINISHED = '.tmp';
const CHUNK_BYTES = 1024 * 1024;
/** Files that are kept in a run folder, those used last: any of them can be made again. */
const KEPT_FILES = 4;
/** Goes up when the same request comes to another file. */
const RECIPE = 1;

/** Makes exports, each once, into the run folders, and hands them out. */
export class RunExports {
  readonly #closing = new AbortController();
  /** files that are being made, by path */
  readonly #making = new Map<string, Promise<void>>();
  /** one is made at a time: each holds a model in memory */
  readonly #places = new Places(1);

  /** @param version of dd2, which the files name */
  constructor(private readonly version: string) {}

  /**
   * The pieces of an export, as they are read. It is made first if need be; callers that want the same one wait for it together, and it is
   * made to its end when they have left.
   * @throws {Dd2Error} INVALID_ARGUMENT, CHECKPOINT_CORRUPT, ASSET_MISSING, ASSET_CORRUPT, UNSUPPORTED_OPERATION, FENCED
   */
  async *stream(evaluations: RunEvaluations, request: ExportRequest, signal: AbortSignal): AsyncGenerator<MessageInitShape<typeof ExportRunResponseSchema>, void> {
    const kind = kindOf(request);
    const { update, file } = await this.#open(evaluations, kind, request.update, signal);
    await using _ = file;
    const { size } = await file.stat();
    const fileName = `${evaluations.folder.runId}-${update}-${kind === 'parameters' ? 'generator.safetensors' : `${kind}.onnx`}`;
    for (let position = 0; position < size; ) {
      signal.throwIfAborted();
      const { bytesRead, buffer } = await file.read({ buffer: Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - position)), position });
      if (bytesRead === 0) throw new Dd2Error('INTERNAL', 'the export became shorter while it was read', { field: fileName });
      const data = buffer.subarray(0, bytesRead);
      yield position === 0 ? { fileName, totalBytes: BigInt(size), update, data } : { data };
      position += bytesRead;
    }
  }

  /** Ends what is being made. */
  async close(): Promise<void> {
    this.#closing.abort(new Dd2Error('UNAVAILABLE', 'the coordinator stops', { remedy: 'Export again when it is back' }));
    await Promise.allSettled(this.#making.values());
  }

  /** The file of an export, open: from then on it can be read even if it is removed. */
  async #open(evaluations: RunEvaluations, kind: ExportKind, asked: number | undefined, signal: AbortSignal): Promise<{ readonly update: number; readonly file: FileHandle }> {
    const { folder } = evaluations;
    for (;;) {
      signal.throwIfAborted();
      const update = await chooseCheckpoint(evaluations, asked);
      using _ = folder.holds.hold(update);
      const manifest = await loadManifest(folder, update).catch(async (error: unknown) => {
        if ((await listCheckpoints(folder)).includes(update)) throw error;
        return undefined; // the run has removed it in this moment: it is chosen again, or found missing
      });
      if (!manifest) continue;
      const path = await this.#pathOf(evaluations, manifest, kind);
      const file = (await openIfThere(path)) ?? (await this.#make(evaluations, update, kind, path, signal).then(() => openIfThere(path)));
      if (!file) continue; // it has made room for others already
      await utimes(path, new Date(), new Date()).catch(() => undefined);
      return { update, file };
    }
  }

  /** The name tells everything that decides about the content, so that a file which is there is the right one. */
  async #pathOf({ folder, spec }: RunEvaluations, { update, files }: CheckpointManifest, kind: ExportKind): Promise<string> {
    const bundle = join(spec.assets, 'manifest.json');
    const assets = await readFile(bundle).catch((thrown: unknown) => {
      throw unreadableFile(assetErrors, bundle, thrown);
    });
    const recipe = [RECIPE, this.version, kind, specSha256(spec), files['generator_ema.safetensors']?.sha256, createHash('sha256').update(assets).digest('hex')];
    const hash = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 12);
    return folder.file(FOLDER, `${update}-${kind}-${hash}.${kind === 'parameters' ? 'safetensors' : 'onnx'}`);
  }

  /** Resolves when the file is complete. Who leaves early stops waiting only. */
  async #make(evaluations: RunEvaluations, update: number, kind: ExportKind, path: string, signal: AbortSignal): Promise<void> {
    let making = this.#making.get(path);
    if (!making) {
      making = this.#makeFile(evaluations, update, kind, path).finally(() => this.#making.delete(path));
      making.catch(() => undefined); // whoever still waits is told
      this.#making.set(path, making);
    }
    let leave = (): void => undefined;
    const left = new Promise<never>((_, reject) => (leave = () => reject(signal.reason as Error)));
    left.catch(() => undefined);
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    try {
      await Promise.race([making, left]);
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  async #makeFile({ folder, spec }: RunEvaluations, update: number, kind: ExportKind, path: string): Promise<void> {
    using _ = folder.holds.hold(update);
    const leave = await this.#places.take(this.#closing.signal);
    // Of a name that nobody else has: one who is fenced off must not touch what another coordinator makes.
    const unfinished = `${path}.${randomBytes(4).toString('hex')}${UNFINISHED}`;
    try {
      await folder.verify();
      await mkdir(folder.file(FOLDER), { recursive: true });
      await this.#makeRoom(folder, path); // of what a coordinator has left that ended in the middle of it
      const task: ExportTask = { dataDir: resolve(folder.path, '../..'), runId: folder.runId, spec, specSha256: specSha256(spec), update, kind, version: this.version, path: unfinished };
      await runInThread('export/export-thread.js', task, this.#closing.signal);
      await folder.verify(); // making it took a while
      await rename(unfinished, path);
      await syncFolder(folder.file(FOLDER));
      await this.#makeRoom(folder, path);
    } catch (error) {
      await rm(unfinished, { force: true });
      throw error;
    } finally {
      leave();
    }
  }

  /** Removes files that were not used for longest, and leftovers. */
  async #makeRoom(folder: RunFolder, made: string): Promise<void> {
    const files: { readonly path: string; readonly usedMs: number }[] = [];
    for (const name of await namesIn(folder.file(FOLDER))) {
      const path = folder.file(FOLDER, name);
      const usedMs = path === made ? Infinity : name.endsWith(UNFINISHED) ? -Infinity : await stat(path).then(({ mtimeMs }) => mtimeMs, () => -Infinity);
      files.push({ path, usedMs });
    }
    files.sort((a, b) => b.usedMs - a.usedMs);
    for (const [i, { path, usedMs }] of files.entries()) {
      if (i < KEPT_FILES && usedMs !== -Infinity) continue;
      await folder.verify();
      await rm(path, { force: true });
    }
  }
}

/** @throws {Dd2Error} INVALID_ARGUMENT */
function kindOf({ format, sampler }: ExportRequest): ExportKind {
  switch (format) {
    case ExportFormat.UNSPECIFIED:
    case ExportFormat.ONNX:
      return parseExportSampler(sampler === '' ? 'one-step' : sampler);
    case ExportFormat.SAFETENSORS:
      if (sampler === '') return 'parameters';
      throw new Dd2Error('INVALID_ARGUMENT', 'parameters have no sampler', { field: 'sampler', remedy: 'Leave it out, or export ONNX' });
    default:
      throw new Dd2Error('INVALID_ARGUMENT', `there is no export format ${String(format)}`, { field: 'format', remedy: 'Use ONNX or safetensors' });
  }
}

async function chooseCheckpoint({ folder, best }: RunEvaluations, asked: number | undefined): Promise<number> {
  const updates = await listCheckpoints(folder);
  const update = [asked ?? best?.update, ...(asked === undefined ? updates : [])].find((wanted) => wanted !== undefined && updates.includes(wanted));
  if (update === undefined) throw noCheckpoint(folder.runId, asked, updates);
  return update;
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  return open(path, 'r').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
}

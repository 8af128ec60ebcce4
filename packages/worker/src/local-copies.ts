import { join } from 'node:path';
import { Dd2Error, type HostTensor } from '@dd2/core';
import type { Engine } from '@dd2/engine';
import { decodeProgram, decodeTensor, MAX_PROGRAM_BYTES, receiveBulk, receiveBytes, sha256, type Lease, type ServiceClient, type WorkerService } from '@dd2/proto';

/** Larger assets are refused. */
const MAX_ASSET_BYTES = 16 * 1024 ** 3;
/** Parameter sets beside the current ones that stay in memory: the next evaluation may use the same tokenizer. */
const MAX_PARAMETER_SETS = 12;
/** programs that stay loaded: a run has about a dozen */
const MAX_PROGRAMS = 32;
/** assets that stay: a session that breaks may miss that some are not needed any more */
const MAX_ASSETS = 256;
/** no version: versions count from 0 */
const INCOMPLETE = -1n;

/** Where bulk data comes from in a session. */
export interface BulkSource {
  readonly client: Pick<ServiceClient<typeof WorkerService>, 'getProgram' | 'getAsset' | 'getParameters'>;
  /** folder that this machine shares with the coordinator, when it does */
  readonly exchange?: string | undefined;
}

/**
 * What a worker has pulled into its engine: programs, assets, parameters; each pulled when a lease names it first. The copies
 * outlive a session: programs and assets are named by their content, parameters by a run, a source and a version.
 */
export class LocalCopies {
  /** in order of last use */
  readonly #programs = new Set<string>();
  readonly #assets = new Set<string>();
  /** the version that the engine holds, and of which run, by engine key; in order of last use */
  readonly #versions = new Map<string, { readonly runId: string; readonly version: bigint }>();

  constructor(readonly engine: Pick<Engine, 'loadProgram' | 'unloadProgram' | 'setAsset' | 'dropAsset' | 'writeParameters' | 'readParameters' | 'dropParameters'>) {}

  /**
   * Pulls what the lease names and is not here yet. Answers the engine's key of every network at once with reads from the
   * exchange folder still under way: the engine carries them out before any task that follows.
   */
  async require(lease: Lease, source: BulkSource): Promise<{ readonly keys: Record<string, string>; readonly reads: Promise<unknown> }> {
    await this.#requireProgram(lease.programId, source);
    for (const { assetId } of lease.assets) await this.#requireAsset(assetId, source);
    this.#dropOldestAssets(lease);
    const keys: Record<string, string> = {};
    const reads: Promise<void>[] = [];
    for (const binding of lease.parameters) {
      // Another coordinator process may give the same names and versions to other values.
      const key = `${lease.epoch} ${lease.runId} ${binding.source}`;
      keys[binding.network] = key;
      const held = this.#versions.get(key)?.version === binding.version;
      const { runId } = lease;
      this.#versions.delete(key);
      this.#versions.set(key, { runId, version: held ? binding.version : INCOMPLETE });
      if (held) continue;
      // Until the last byte is in, the buffer holds neither version: a pull that fails must be made again.
      const pulled = this.#pullParameters(key, runId, binding, source).then(() => void this.#versions.set(key, { runId, version: binding.version }));
      if (source.exchange === undefined) await pulled;
      else reads.push(pulled);
    }
    const read = Promise.all(reads);
    read.catch(() => undefined); // whoever executes the lease hears of it, unless something else has failed before
    this.#forgetOldest(new Set(Object.values(keys)));
    return { keys, reads: read };
  }

  /** Drops what no later lease will name. Not while a lease is executed. */
  async forget(contentIds: readonly string[], runIds: readonly string[]): Promise<void> {
    for (const [key, { runId }] of this.#versions) if (runIds.includes(runId)) this.#dropParameters(key);
    for (const id of contentIds) {
      this.#dropAsset(id);
      if (this.#programs.delete(id)) await this.engine.unloadProgram(id);
    }
  }

  async #requireProgram(programId: string, { client }: BulkSource): Promise<void> {
    if (!this.#programs.delete(programId)) {
      const { data } = await receiveBytes(client.getProgram({ programId }), { maxBytes: MAX_PROGRAM_BYTES });
      requireContent('program', programId, data);
      await this.engine.loadProgram(programId, decodeProgram(data));
    }
    this.#programs.add(programId);
    for (const oldest of this.#programs) {
      if (this.#programs.size <= MAX_PROGRAMS) return;
      this.#programs.delete(oldest);
      await this.engine.unloadProgram(oldest);
    }
  }

  async #requireAsset(assetId: string, source: BulkSource): Promise<void> {
    if (!this.#assets.delete(assetId)) this.engine.setAsset(assetId, await pullTensor(assetId, source));
    this.#assets.add(assetId);
  }

  #dropOldestAssets(lease: Lease): void {
    for (const oldest of this.#assets) {
      if (this.#assets.size <= MAX_ASSETS) return;
      if (lease.assets.some(({ assetId }) => assetId === oldest)) continue;
      this.#dropAsset(oldest);
    }
  }

  #dropAsset(assetId: string): void {
    if (this.#assets.delete(assetId)) this.engine.dropAsset(assetId);
  }

  async #pullParameters(key: string, runId: string, binding: Lease['parameters'][number], { client, exchange }: BulkSource): Promise<void> {
    const { source, version, file } = binding;
    const size = Number(binding.size);
    if (exchange !== undefined) return this.engine.readParameters(key, size, join(exchange, file));
    await receiveBulk(client.getParameters({ runId, source, version }), {
      maxBytes: size * 4,
      onHeader: ({ totalBytes }) => {
        if (totalBytes !== size * 4) throw new Dd2Error('PROTOCOL', `parameters of ${totalBytes} bytes came where ${size * 4} were due`, { field: source });
      },
      onChunk: (data, offset) => this.engine.writeParameters(key, size, offset / 4, data),
    });
  }

  #forgetOldest(inUse: ReadonlySet<string>): void {
    for (const key of this.#versions.keys()) {
      if (this.#versions.size <= MAX_PARAMETER_SETS) return;
      if (inUse.has(key)) continue;
      this.#dropParameters(key);
    }
  }

  #dropParameters(key: string): void {
    this.#versions.delete(key);
    this.engine.dropParameters(key);
  }
}

/** The tensor that has this id. @throws {Dd2Error} PROTOCOL when another one arrives */
export async function pullTensor(assetId: string, { client }: BulkSource): Promise<HostTensor> {
  const { data } = await receiveBytes(client.getAsset({ assetId }), { maxBytes: MAX_ASSET_BYTES });
  requireContent('asset', assetId, data);
  return decodeTensor(data);
}

function requireContent(what: string, id: string, data: Uint8Array): void {
  if (sha256([data]) !== id) throw new Dd2Error('PROTOCOL', `the ${what} that arrived is not the one that was asked for`, { field: id });
}

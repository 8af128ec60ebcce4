import { Dd2Error, type HostTensor, type Program } from '@dd2/core';
import { encodeProgram, encodeTensor, programId, sha256, type BulkChunk, type Lease } from '@dd2/proto';
import { describe, expect, it } from 'vitest';
import { LocalCopies, type BulkSource } from './local-copies.js';

/** Answers the coordinator's calls from memory and counts them. */
class FakeSource {
  readonly contents = new Map<string, Uint8Array>();
  readonly calls: string[] = [];
  /** what goes wrong with the next stream after its first bytes */
  breaks: Error | undefined;

  readonly client = {
    getProgram: ({ programId: id }: { programId?: string }) => this.#answer(`program ${id}`, id ?? ''),
    getAsset: ({ assetId }: { assetId?: string }) => this.#answer(`asset ${assetId}`, assetId ?? ''),
    getParameters: ({ source, version }: { source?: string; version?: bigint }) => this.#answer(`${source} ${version}`, `${source} ${version}`),
  } as unknown as BulkSource['client'];

  put(bytes: Uint8Array, id = sha256([bytes])): string {
    this.contents.set(id, bytes);
    return id;
  }

  async *#answer(call: string, id: string): AsyncGenerator<BulkChunk> {
    this.calls.push(call);
    const bytes = this.contents.get(id);
    if (!bytes) throw new Dd2Error('STALE_LEASE', 'it is gone');
    const half = 4 * Math.floor(bytes.length / 8);
    yield { header: { runId: '', leaseId: '', epoch: 0n, totalBytes: bytes.length, name: id, version: 0n, dtype: undefined, shape: [] }, offset: 0, data: bytes.slice(0, half) };
    if (this.breaks) throw this.breaks;
    yield { offset: half, data: bytes.slice(half) };
  }
}

/** Writes down what it is told. */
class FakeEngine {
  readonly log: string[] = [];
  readonly loadProgram = async (id: string): Promise<void> => void this.log.push(`load ${id}`);
  readonly unloadProgram = async (id: string): Promise<void> => void this.log.push(`unload ${id}`);
  readonly setAsset = (name: string): void => void this.log.push(`asset ${name}`);
  readonly dropAsset = (name: string): void => void this.log.push(`drop asset ${name}`);
  readonly writeParameters = (key: string, size: number, offset: number, bytes: Uint8Array): void => void this.log.push(`write ${key} ${offset}+${bytes.length / 4} of ${size}`);
  readonly readParameters = async (key: string, size: number, path: string): Promise<void> => void this.log.push(`read ${key} ${size} ${path}`);
  readonly dropParameters = (key: string): void => void this.log.push(`drop ${key}`);
}

const program: Program = { signature: { name: 'p', batch: 1, parameters: [], inputs: [], stages: [], metrics: [], results: [] }, graphs: [] };
const tensor: HostTensor = { dtype: 'uint8', shape: [4], data: new Uint8Array([1, 2, 3, 4]) };

function setUp(): { readonly source: FakeSource; readonly engine: FakeEngine; readonly copies: LocalCopies; readonly lease: (more?: Partial<Lease>) => Lease } {
  const source = new FakeSource();
  const engine = new FakeEngine();
  const id = programId(program);
  source.put(Buffer.concat(encodeProgram(program)), id);
  const lease = (more: Partial<Lease> = {}): Lease => ({ epoch: 1n, runId: 'run', programId: id, parameters: [], assets: [], ...more }) as Lease;
  return { source, engine, copies: new LocalCopies(engine), lease };
}

function binding(source: string, version: number, size = 4): Lease['parameters'][number] {
  return { network: source, source, version: BigInt(version), size: BigInt(size), file: `run/${source}-${version}` } as Lease['parameters'][number];
}

const floats = new Uint8Array(16);

describe('LocalCopies', () => {
  it('pulls programs, assets and parameters once', async () => {
    const { source, engine, copies, lease } = setUp();
    const assetId = source.put(Buffer.concat(encodeTensor(tensor)));
    source.put(floats, 'generator 1');
    const wanted = lease({ parameters: [binding('generator', 1)], assets: [{ name: 'labels', assetId } as Lease['assets'][number]] });
    for (let times = 0; times < 3; times++) expect(Object.keys((await copies.require(wanted, source)).keys)).toEqual(['generator']);
    expect(source.calls).toEqual([`program ${wanted.programId}`, `asset ${assetId}`, 'generator 1']);
    expect(engine.log.filter((line) => line.startsWith('write')).map((line) => line.replace(/.*generator /, ''))).toEqual(['0+2 of 4', '2+2 of 4']);
  });

  it('pulls another version, and the same one again after a pull that failed', async () => {
    const { source, copies, lease } = setUp();
    for (const version of [1, 2]) source.put(floats, `generator ${version}`);
    await copies.require(lease({ parameters: [binding('generator', 1)] }), source);
    source.breaks = new Dd2Error('UNAVAILABLE', 'connection lost');
    await expect(copies.require(lease({ parameters: [binding('generator', 2)] }), source)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    source.breaks = undefined;
    // The buffer holds half of version 2: neither version is there.
    await copies.require(lease({ parameters: [binding('generator', 1)] }), source);
    await copies.require(lease({ parameters: [binding('generator', 2)] }), source);
    expect(source.calls.slice(1)).toEqual(['generator 1', 'generator 2', 'generator 1', 'generator 2']);
  });

  it('reads parameters from the exchange folder', async () => {
    const { source, engine, copies, lease } = setUp();
    const { reads } = await copies.require(lease({ parameters: [binding('generator', 1)] }), { client: source.client, exchange: '/exchange' });
    await reads;
    expect(engine.log.at(-1)).toMatch(/^read .*generator 4 \/exchange\/run\/generator-1$/);
    expect(source.calls).toHaveLength(1);
  });

  it('refuses what is not what it asked for', async () => {
    const { source, engine, copies, lease } = setUp();
    const other = source.put(new Uint8Array([1, 2, 3]), 'f'.repeat(64));
    await expect(copies.require(lease({ programId: other }), source)).rejects.toMatchObject({ code: 'PROTOCOL', field: other });
    await expect(copies.require(lease({ assets: [{ name: 'a', assetId: other } as Lease['assets'][number]] }), source)).rejects.toMatchObject({ code: 'PROTOCOL', field: other });
    source.put(floats, 'generator 1');
    await expect(copies.require(lease({ parameters: [binding('generator', 1, 5)] }), source)).rejects.toMatchObject({ code: 'PROTOCOL' });
    await expect(copies.require(lease({ parameters: [binding('generator', 9)] }), source)).rejects.toMatchObject({ code: 'STALE_LEASE' });
    expect(engine.log).toEqual([`load ${lease().programId}`]);
  });

  it('drops the parameters that were used longest ago, never those of the lease', async () => {
    const { source, engine, copies, lease } = setUp();
    const names = Array.from({ length: 14 }, (_, i) => `n${i}`);
    for (const name of names) source.put(floats, `${name} 1`);
    for (const name of names) await copies.require(lease({ parameters: [binding('n0', 1), binding(name, 1)] }), source);
    expect(engine.log.filter((line) => line.startsWith('drop')).map((line) => line.split(' ').at(-1))).toEqual(['n1', 'n2']);
  });

  it('forgets programs, assets and the parameters of runs, and pulls them again when a lease names them after all', async () => {
    const { source, engine, copies, lease } = setUp();
    const assetId = source.put(Buffer.concat(encodeTensor(tensor)));
    source.put(floats, 'generator 1');
    const wanted = lease({ parameters: [binding('generator', 1)], assets: [{ name: 'labels', assetId } as Lease['assets'][number]] });
    const other = lease({ runId: 'other', parameters: [binding('generator', 1)] });
    await copies.require(wanted, source);
    await copies.require(other, source);
    engine.log.splice(0);
    await copies.forget([assetId, wanted.programId, 'unknown'], ['run']);
    expect(engine.log).toEqual(['drop 1 run generator', `drop asset ${assetId}`, `unload ${wanted.programId}`]);
    source.calls.splice(0);
    await copies.require(other, source);
    await copies.require(wanted, source);
    expect(source.calls).toEqual([`program ${wanted.programId}`, `asset ${assetId}`, 'generator 1']);
  });

  it('drops the assets that were used longest ago, never those of the lease', async () => {
    const { source, engine, copies, lease } = setUp();
    const ids = Array.from({ length: 258 }, (_, i) => source.put(Buffer.concat(encodeTensor({ dtype: 'uint8', shape: [2], data: new Uint8Array([i % 256, i >> 8]) }))));
    const asset = (assetId = ''): Lease['assets'][number] => ({ name: assetId, assetId }) as Lease['assets'][number];
    for (const id of ids) await copies.require(lease({ assets: [asset(ids[0]), asset(id)] }), source);
    expect(engine.log.filter((line) => line.startsWith('drop'))).toEqual([`drop asset ${ids[1]}`, `drop asset ${ids[2]}`]);
  });

  it('unloads the program that was used longest ago', async () => {
    const { source, engine, copies, lease } = setUp();
    const ids = Array.from({ length: 33 }, (_, batch) => {
      const other = { ...program, signature: { ...program.signature, batch: batch + 1 } };
      return source.put(Buffer.concat(encodeProgram(other)), programId(other));
    });
    for (const id of ids) {
      await copies.require(lease({ programId: id }), source);
      await copies.require(lease({ programId: ids[0] ?? '' }), source);
    }
    expect(engine.log.filter((line) => line.startsWith('unload'))).toEqual([`unload ${ids[1]}`]);
  });
});

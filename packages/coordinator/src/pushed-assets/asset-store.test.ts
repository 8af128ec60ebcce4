import { mkdir, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleFiles, openBundle } from '@dd2/assets';
import { Dd2Error } from '@dd2/core';
import { asyncProperty, assert as check, array, integer } from 'fast-check';
import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { makeBundle, piece, piecesOfBundle, piecesOfFile, streamOf, type MadeBundle } from '../testing/asset-bundle.js';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { AssetStore, type AssetStoreOptions } from './asset-store.js';
import type { AssetPiece } from './incoming-manifest.js';

const MIB = 1024 ** 2;
const { signal } = new AbortController();
let dataDir: string;
let store: AssetStore;

const open = (options: Partial<AssetStoreOptions> = {}): Promise<AssetStore> => AssetStore.open({ dataDir, verify: () => Promise.resolve(), logger: pino({ level: 'silent' }), ...options });
const names = async (folder = store.folder): Promise<string[]> => (await readdir(folder).catch(() => [])).sort();
const push = (pieces: Iterable<AssetPiece> | AsyncIterable<AssetPiece>, into = store): Promise<string> => into.push(streamOf(pieces), signal);
const pushed = (bundle: MadeBundle, into = store): Promise<string> => push(piecesOfBundle(bundle), into);

/** A bundle of which some pieces come, and then nothing until `release`. */
function held(bundle: MadeBundle, count = 4): { readonly pieces: AsyncGenerator<AssetPiece>; readonly stopped: Promise<void>; readonly release: () => void } {
  let release = (): void => undefined;
  let stop = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const stopped = new Promise<void>((resolve) => (stop = resolve));
  async function* pieces(): AsyncGenerator<AssetPiece> {
    let sent = 0;
    for (const next of piecesOfBundle(bundle)) {
      if (sent++ === count) {
        stop();
        await released;
      }
      yield next;
    }
  }
  return { pieces: pieces(), stopped, release };
}

beforeEach(async () => {
  dataDir = await temporaryFolder();
  store = await open();
});

async function expectWhole(folder: string, { manifest, files, id }: MadeBundle): Promise<void> {
  expect(folder).toBe(join(dataDir, 'assets', id));
  expect(Buffer.compare(await readFile(join(folder, 'manifest.json')), manifest)).toBe(0);
  for (const name of bundleFiles) expect(Buffer.compare(await readFile(join(folder, name)), files[name]), name).toBe(0);
  expect(await names(folder)).toEqual([...bundleFiles, 'manifest.json'].sort());
  expect((await openBundle(folder)).folder).toBe(folder);
}

describe('a bundle that is pushed', () => {
  it('is there as it was sent, under the hash of its manifest', async () => {
    const bundle = makeBundle({ 'teacher.safetensors': 3 * MIB + 1 });
    expect(await store.find(bundle.id)).toMatchObject({ folder: '' });
    const folder = await push(piecesOfBundle(bundle, [MIB]));
    await expectWhole(folder, bundle);
    expect(await names()).toEqual([bundle.id]);
    expect(await store.find(bundle.id)).toMatchObject({ folder });
  });

  it('may come in any pieces, with files that are empty', async () => {
    await check(
      asyncProperty(array(integer({ min: 1, max: 2_000 }), { minLength: 1, maxLength: 8 }), array(integer({ min: 0, max: 5_000 }), { minLength: 5, maxLength: 5 }), async (cuts, sizes) => {
        const bundle = makeBundle(Object.fromEntries(bundleFiles.map((name, at) => [name, sizes[at] ?? 0])));
        await expectWhole(await push(piecesOfBundle(bundle, cuts)), bundle);
      }),
      { numRuns: 30 },
    );
  });

  it('is taken once: the second time nothing of it is read', async () => {
    const bundle = makeBundle();
    const folder = await pushed(bundle);
    let asked = 0;
    function* counted(): Generator<AssetPiece> {
      for (const next of piecesOfBundle(bundle, [10])) {
        asked += 1;
        yield next;
      }
    }
    const stream = streamOf(counted());
    expect(await store.push(stream, signal)).toBe(folder);
    expect(asked).toBeLessThan(50);
    expect(stream.destroyed).toBe(true);
  });

  it('may come from two sides at once', async () => {
    const bundle = makeBundle();
    const [one, other] = [held(bundle), held(bundle)];
    const both = [push(one.pieces), push(other.pieces)];
    await Promise.all([one.stopped, other.stopped]);
    await expect.poll(() => names()).toHaveLength(2);
    one.release();
    other.release();
    for (const folder of await Promise.all(both)) await expectWhole(folder, bundle);
    expect(await names()).toEqual([bundle.id]);
  });

  it('replaces one that was damaged on the disk', async () => {
    const bundle = makeBundle();
    const folder = await pushed(bundle);
    await truncate(join(folder, 'teacher.safetensors'), 5);
    expect(await store.find(bundle.id)).toMatchObject({ folder: '' });
    await expectWhole(await pushed(bundle), bundle);
    await writeFile(join(folder, 'manifest.json'), makeBundle().manifest);
    expect(await store.find(bundle.id)).toMatchObject({ folder: '' });
    await expectWhole(await pushed(bundle), bundle);
    await rm(join(folder, 'tokens.safetensors'));
    await expectWhole(await pushed(bundle), bundle);
    expect(await names()).toEqual([bundle.id]);
  });

  it('is not sought outside of the folder', async () => {
    for (const id of ['', '..', `../${'a'.repeat(61)}`, 'A'.repeat(64), 'a'.repeat(65)]) await expect(store.find(id)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'manifest_sha256' });
  });
});

describe('a push that is wrong', () => {
  const bundle = makeBundle();
  const teacher = 'teacher.safetensors';
  const pieces = (change: (name: string, bytes: Buffer) => Iterable<AssetPiece>): AssetPiece[] => [piece({ manifest: bundle.manifest }), ...bundleFiles.flatMap((name) => [...change(name, bundle.files[name])])];
  const onlyTeacher = (change: (bytes: Buffer) => Iterable<AssetPiece>): AssetPiece[] => pieces((name, bytes) => (name === teacher ? change(bytes) : piecesOfFile(name, bytes)));
  const edited = (edit: (manifest: Record<string, unknown>) => unknown): AssetPiece[] => [...piecesOfBundle(makeBundle({}, 'edited', edit))];
  const withFiles = (change: (files: Record<string, unknown>) => unknown): AssetPiece[] => edited((manifest) => ({ ...manifest, files: change(manifest['files'] as Record<string, unknown>) }));
  const flipped = (bytes: Buffer): Buffer => Buffer.concat([bytes.subarray(0, -1), Buffer.of((bytes.at(-1) ?? 0) ^ 1)]);
  const digest = { sha256: '0'.repeat(64), bytes: 1 };

  const corrupt = (field: string) => ({ code: 'ASSET_CORRUPT', field, message: expect.stringContaining(field) as string });
  const broken = (field: string) => ({ code: 'PROTOCOL', field, message: expect.stringContaining(field) as string });
  const inManifest = (field: string) => ({ code: 'ASSET_CORRUPT', field, message: expect.stringContaining('manifest.json') as string });

  it.each<[string, () => AssetPiece[], object]>([
    ['a file with other bytes', () => onlyTeacher((bytes) => piecesOfFile(teacher, flipped(bytes))), corrupt(teacher)],
    ['a file that is longer than declared', () => onlyTeacher((bytes) => piecesOfFile(teacher, Buffer.concat([bytes, Buffer.of(0)]))), corrupt(teacher)],
    ['a file that is shorter', () => onlyTeacher((bytes) => piecesOfFile(teacher, bytes.subarray(1))), corrupt(teacher)],
    ['a file that is missing', () => onlyTeacher(() => []), corrupt(teacher)],
    ['the last file cut off', () => pieces((name, bytes) => piecesOfFile(name, name === bundleFiles.at(-1) ? bytes.subarray(0, 7) : bytes)), corrupt('tokens.safetensors')],
    ['no file at all', () => [piece({ manifest: bundle.manifest })], corrupt('classifier.safetensors')],
    ['two files with their contents exchanged', () => pieces((name) => piecesOfFile(name, bundle.files[name === teacher ? 'tokenizer.safetensors' : teacher])), { code: 'ASSET_CORRUPT' }],
    ['a file that comes twice', () => pieces((name, bytes) => [...piecesOfFile(name, bytes), ...(name === teacher ? piecesOfFile(name, bytes) : [])]), broken(teacher)],
    ['a file beside those of the manifest', () => [...piecesOfBundle(bundle), piece({ fileName: 'extra.safetensors', data: Buffer.of(1) })], broken('extra.safetensors')],
    ['the manifest as a file', () => [...piecesOfBundle(bundle), piece({ fileName: 'manifest.json', data: Buffer.of(1) })], broken('manifest.json')],
    ['a name with a path', () => onlyTeacher((bytes) => piecesOfFile(`../${teacher}`, bytes)), broken(`../${teacher}`)],
    ['an absolute name', () => onlyTeacher((bytes) => piecesOfFile('/tmp/teacher', bytes)), broken('/tmp/teacher')],
    ['a name of a property', () => onlyTeacher((bytes) => piecesOfFile('__proto__', bytes)), broken('__proto__')],
    ['bytes before the first file', () => [piece({ manifest: bundle.manifest }), piece({ data: Buffer.of(1) })], broken('manifest.json')],
    ['an empty piece', () => onlyTeacher((bytes) => [...piecesOfFile(teacher, bytes), piece({})]), broken(teacher)],
    ['a second manifest', () => [...piecesOfBundle(bundle), piece({ manifest: bundle.manifest })], broken('manifest.json')],
    ['a piece that is too large', () => [...piecesOfBundle(makeBundle({ 'classifier.safetensors': MIB + 1 }), [MIB + 1])], broken('classifier.safetensors')],
    ['nothing', () => [], broken('manifest.json')],
    ['a file first', () => [...piecesOfFile(teacher, Buffer.of(1))], broken('manifest.json')],
    ['a file within the first piece', () => [piece({ manifest: bundle.manifest, fileName: teacher, data: Buffer.of(1) })], broken('manifest.json')],
    ['a manifest over its limit', () => [piece({ manifest: Buffer.alloc(MIB + 1, ' ') })], corrupt('manifest.json')],
    ['a manifest that is not JSON', () => [piece({ manifest: Buffer.from('{"format":') })], { code: 'ASSET_CORRUPT', message: expect.stringContaining('manifest.json') as string }],
    ['a manifest of another version', () => edited((manifest) => ({ ...manifest, format: 'dd2-assets/2' })), { code: 'UNSUPPORTED_OPERATION', field: 'format', message: expect.stringContaining('manifest.json') as string }],
    ['a manifest with a field that nobody knows', () => edited((manifest) => ({ ...manifest, extra: 1 })), inManifest('extra')],
    ['a manifest with a path as a name', () => withFiles((files) => ({ ...files, '../../tokens/api': digest })), inManifest('files.../../tokens/api')],
    ['a manifest without a file', () => withFiles(({ [teacher]: _teacher, ...files }) => files), inManifest(`files.${teacher}`)],
    ['a manifest with a negative size', () => withFiles((files) => ({ ...files, [teacher]: { ...digest, bytes: -1 } })), inManifest(`files.${teacher}.bytes`)],
    ['a manifest with a hash that is none', () => withFiles((files) => ({ ...files, [teacher]: { ...digest, sha256: '../x' } })), inManifest(`files.${teacher}.sha256`)],
  ])('%s is refused, and nothing is left of it', async (_what, made, error) => {
    const before = await names(dataDir);
    await expect(push(made())).rejects.toMatchObject(error);
    expect(await names()).toEqual([]);
    expect((await names(dataDir)).filter((name) => name !== 'assets')).toEqual(before);
    // The place is free again, and the good one is welcome.
    await expectWhole(await pushed(bundle), bundle);
  });

  it.each([
    ['an error of the connection', new Dd2Error('UNAVAILABLE', 'gone')],
    ['an error of anything', new TypeError('gone')],
  ])('%s leaves nothing behind', async (_what, error) => {
    async function* breaks(): AsyncGenerator<AssetPiece> {
      let sent = 0;
      for (const next of piecesOfBundle(bundle)) {
        if (sent++ === 5) throw error;
        yield next;
      }
    }
    await expect(push(breaks())).rejects.toThrow('gone');
    expect(await names()).toEqual([]);
  });
});

describe('a push that does not end', () => {
  it('is over when its caller leaves', async () => {
    const caller = new AbortController();
    const { pieces, stopped } = held(makeBundle());
    const receiving = store.push(streamOf(pieces), caller.signal);
    await stopped;
    await expect.poll(() => names()).toHaveLength(1);
    caller.abort(new Dd2Error('CANCELLED', 'left'));
    await expect(receiving).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await names()).toEqual([]);
  });

  it('is over when the coordinator stops, which waits until nothing is left of it', async () => {
    const { pieces, stopped } = held(makeBundle());
    const receiving = push(pieces);
    receiving.catch(() => undefined);
    await stopped;
    await store.close();
    expect(await names()).toEqual([]);
    await expect(receiving).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('the coordinator stops') as string });
    await expect(pushed(makeBundle())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('is given up when it is silent', async () => {
    store = await open({ silenceMs: 50 });
    const { pieces } = held(makeBundle());
    await expect(push(pieces)).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('nothing came') as string });
    expect(await names()).toEqual([]);
  });

  it('leaves no place to more than a few', async () => {
    store = await open({ maxPushes: 2 });
    const [one, other] = [held(makeBundle()), held(makeBundle())];
    const both = [push(one.pieces), push(other.pieces)];
    await expect(pushed(makeBundle())).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', message: expect.stringContaining('2 asset bundles') as string });
    one.release();
    other.release();
    await Promise.all(both);
    await pushed(makeBundle());
    expect(await names()).toHaveLength(3);
  });
});

describe('bundles that are there', () => {
  it('are listed, the latest first, with what is known of them', async () => {
    expect(await store.list()).toEqual([]);
    const [first, second, damaged] = [makeBundle({}, 'first'), makeBundle({}, 'second'), makeBundle({}, 'third')];
    const folders: string[] = [];
    for (const [at, bundle] of [first, second, damaged].entries()) {
      folders.push(await pushed(bundle));
      await utimes(folders[at] ?? '', at, 1_000 * at);
    }
    await writeFile(join(folders[2] ?? '', 'manifest.json'), '{');
    await mkdir(join(store.folder, `${first.id}.new-0123456789ab`));
    const sizeOf = ({ files, manifest }: MadeBundle): number => Object.values(files).reduce((sum, { byteLength }) => sum + byteLength, manifest.byteLength);
    expect(await store.list()).toEqual([
      { id: damaged.id, folder: folders[2], name: '', bytes: sizeOf(damaged) - damaged.manifest.byteLength + 1, pushedAt: new Date(2_000_000) },
      { id: second.id, folder: folders[1], name: 'second', bytes: sizeOf(second), pushedAt: new Date(1_000_000) },
      { id: first.id, folder: folders[0], name: 'first', bytes: sizeOf(first), pushedAt: new Date(0) },
    ]);
  });

  it('are removed one by one, which makes room', async () => {
    store = await open({ maxBytes: 1_000_000, freeBytes: () => Promise.resolve(1e9) });
    const [one, other] = [makeBundle(), makeBundle()];
    await pushed(one);
    const room = await store.maxBytes();
    await pushed(other);
    expect(await store.maxBytes()).toBeLessThan(room);
    await store.remove(one.id);
    expect(await names()).toEqual([other.id]);
    expect(await store.maxBytes()).toBe(room);
    expect(await store.find(one.id)).toMatchObject({ folder: '' });
    await expect(store.remove(one.id)).rejects.toMatchObject({ code: 'ASSET_MISSING', field: 'manifest_sha256' });
    for (const wrong of ['', '..', one.id.slice(1), `${other.id}/..`]) await expect(store.remove(wrong)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'manifest_sha256' });
    await expectWhole(await pushed(one), one);
    expect(await names()).toEqual([one.id, other.id].sort());
  });

  it('stay where this coordinator is not the owner any more', async () => {
    const bundle = makeBundle();
    await pushed(bundle);
    const fenced = await open({ verify: () => Promise.reject(new Dd2Error('FENCED', 'another one')) });
    await expect(fenced.remove(bundle.id)).rejects.toMatchObject({ code: 'FENCED' });
    await expectWhole(join(store.folder, bundle.id), bundle);
  });
});

describe('what a coordinator before this one left', () => {
  it('is removed when it was not finished, and only that', async () => {
    const bundle = makeBundle();
    const folder = await pushed(bundle);
    const unfinished = [`${'a'.repeat(64)}.new-0123456789ab`, `${bundle.id}.old-0123456789ab`];
    for (const name of unfinished) {
      await mkdir(join(store.folder, name));
      await writeFile(join(store.folder, name, 'teacher.safetensors'), 'half');
    }
    await mkdir(join(store.folder, 'mine.new-house'));
    store = await open();
    expect(await names()).toEqual([bundle.id, 'mine.new-house'].sort());
    expect(await store.find(bundle.id)).toMatchObject({ folder });
  });

  it('is let alone by one that is not the owner', async () => {
    await mkdir(join(store.folder, `${'a'.repeat(64)}.new-0123456789ab`), { recursive: true });
    await expect(open({ verify: () => Promise.reject(new Dd2Error('FENCED', 'stale')) })).rejects.toMatchObject({ code: 'FENCED' });
    expect(await names()).toHaveLength(1);
  });
});

it('asks the fence before it begins, and before the bundle counts', async () => {
  let [fenced, asked] = [false, 0];
  store = await open({
    verify: async () => {
      asked += 1;
      if (fenced) throw new Dd2Error('FENCED', 'stale');
    },
  });
  const { pieces, stopped, release } = held(makeBundle());
  const receiving = push(pieces);
  receiving.catch(() => undefined);
  await stopped;
  await expect.poll(() => asked).toBe(1);
  fenced = true;
  release();
  await expect(receiving).rejects.toMatchObject({ code: 'FENCED' });
  expect(await names()).toEqual([]);
  await expect(pushed(makeBundle())).rejects.toMatchObject({ code: 'FENCED' });
  expect(await names()).toEqual([]);
});

describe('room', () => {
  const bundle = makeBundle({ 'teacher.safetensors': 100_000 });
  const bytes = Object.values(bundle.files).reduce((sum, file) => sum + file.byteLength, bundle.manifest.byteLength);

  it('is refused to a bundle beyond the limit, before its first byte', async () => {
    store = await open({ maxBytes: bytes - 1 });
    await expect(pushed(bundle)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', field: 'assets', remedy: expect.stringContaining('--max-assets-gib') as string });
    expect(await names(dataDir)).toEqual([]);
    store = await open({ maxBytes: bytes });
    expect(await store.find(bundle.id)).toEqual({ folder: '', maxBytes: BigInt(bytes) });
    await expectWhole(await pushed(bundle), bundle);
    expect(await store.find(bundle.id)).toMatchObject({ maxBytes: 0n });
  });

  it('is that of the damaged bundle whose place is taken', async () => {
    store = await open({ maxBytes: bytes });
    await truncate(join(await pushed(bundle), 'teacher.safetensors'), 50_000);
    expect(await store.find(bundle.id)).toEqual({ folder: '', maxBytes: BigInt(bytes) });
    await expectWhole(await pushed(bundle), bundle);
  });

  it('is for all bundles together, those under way too', async () => {
    store = await open({ maxBytes: 2 * bytes });
    const { pieces, stopped, release } = held(makeBundle({ 'teacher.safetensors': 100_000 }));
    const first = push(pieces);
    await stopped;
    await expect.poll(() => names()).toHaveLength(1);
    const second = makeBundle({ 'teacher.safetensors': 150_000 });
    await expect(pushed(second)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', message: expect.stringContaining('are taken') as string });
    await pushed(bundle);
    release();
    await first;
    await expect(pushed(second)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    // Whoever runs the coordinator removes one by hand.
    for (const name of await names()) await rm(join(store.folder, name), { recursive: true });
    await pushed(second);
  });

  it('is measured before there is a folder', async () => {
    store = await open({ maxBytes: Number.MAX_SAFE_INTEGER });
    const { maxBytes } = await store.find(bundle.id);
    expect(maxBytes).toBeGreaterThan(0n);
    expect(maxBytes).toBeLessThan(BigInt(Number.MAX_SAFE_INTEGER));
    expect(await names(dataDir)).toEqual([]);
  });

  it('is what the disk has, but for a rest that runs need', async () => {
    let free = 64 * MIB + bytes - 1;
    store = await open({ freeBytes: async () => free });
    await expect(pushed(bundle)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', message: expect.stringContaining("the coordinator's disk") as string });
    expect(await names(dataDir)).toEqual([]);
    free += 1;
    expect(await store.find(bundle.id)).toMatchObject({ maxBytes: BigInt(bytes) });
    await pushed(bundle);
    free = 0;
    expect(await store.find(bundle.id)).toMatchObject({ maxBytes: 0n });
  });
});

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ParameterStore, readPublished, writeFlat } from './parameter-store.js';
import { temporaryFolder } from './testing/temporary-folder.js';

const flat = Float32Array.from({ length: 1_000 }, (_, i) => i / 7);

async function opened(): Promise<ParameterStore> {
  const store = new ParameterStore(join(await temporaryFolder(), 'run'));
  await store.open();
  return store;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(() => true, () => false);
}

it('gives published values back in pieces', async () => {
  const store = await opened();
  const published = await store.publish('generator', 3, flat.length, writeFlat(flat));
  const pieces: Uint8Array[] = [];
  for await (const piece of readPublished(published, 1_536)) pieces.push(piece);
  expect(pieces.map(({ length }) => length)).toEqual([1_536, 1_536, 928]);
  expect(new Float32Array(Uint8Array.from(Buffer.concat(pieces)).buffer)).toEqual(flat);
});

it('replaces a version by the next, and writes one version once', async () => {
  const store = await opened();
  const first = await store.publish('generator', 1, flat.length, writeFlat(flat));
  expect(await store.publish('generator', 1, flat.length, () => Promise.reject(new Error('written twice')))).toBe(first);
  const second = await store.publish('generator', 2, flat.length, writeFlat(flat));
  expect(store.latest('generator')).toBe(second);
  expect(store.find('generator', 1)).toBeUndefined();
  expect(await exists(first.path)).toBe(false);
  await expect(readPublished(first, 8).next()).rejects.toMatchObject({ code: 'STALE_LEASE' });
  expect(() => store.latest('guidance')).toThrow('no parameters "guidance"');
});

it('keeps a version for as long as somebody holds it', async () => {
  const store = await opened();
  const first = await store.publish('generator_ema', 1, flat.length, writeFlat(flat));
  const releases = [store.hold(first), store.hold(first)];
  await store.publish('generator_ema', 2, flat.length, writeFlat(flat));
  await releases[0]?.();
  expect(store.find('generator_ema', 1)).toBe(first);
  await releases[1]?.();
  expect(store.find('generator_ema', 1)).toBeUndefined();
  expect(await exists(first.path)).toBe(false);
});

it('does not remove the latest version when its holder lets go', async () => {
  const store = await opened();
  const only = await store.publish('generator_ema', 1, flat.length, writeFlat(flat));
  await store.hold(only)();
  expect(await exists(only.path)).toBe(true);
  await store.close();
  expect(await exists(store.folder)).toBe(false);
});

it('keeps one file of a version that several hold, whatever is published in between', async () => {
  const store = await opened();
  const first = await store.publishHeld('generator_ema', 6, flat.length, writeFlat(flat));
  const other = await store.publishHeld('generator_ema', 11, flat.length, writeFlat(flat.map((value) => -value)));
  const again = await store.publishHeld('generator_ema', 6, flat.length, () => Promise.reject(new Error('written twice')));
  expect(again.published).toBe(first.published);
  await first.release();
  await other.release();
  expect(await exists(again.published.path)).toBe(true);
  expect(store.find('generator_ema', 6)).toBe(again.published);
  await again.release();
  expect(await exists(again.published.path)).toBe(false);
});

it('does not write over a version that was held: who still reads it may be asked for it again', async () => {
  const store = await opened();
  const { published, release } = await store.publishHeld('generator_ema', 6, flat.length, writeFlat(flat));
  await release();
  const straggler = readPublished(published, 1_536);
  const read = [(await straggler.next()).value as Uint8Array];
  await store.publishHeld('generator_ema', 11, flat.length, writeFlat(flat.map((value) => -value)));
  for await (const piece of straggler) read.push(piece);
  expect(new Float32Array(Uint8Array.from(Buffer.concat(read)).buffer)).toEqual(flat);
});

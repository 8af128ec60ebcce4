import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Dd2Error, type ParameterLayout } from '@dd2/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SHARD_FLOATS } from './aggregator.js';
import { Aggregators } from './aggregators.js';
import { checkpointPath, checkpointVectors, listCheckpoints, loadCheckpoint, type CheckpointVectors } from './checkpoint.js';
import { Checkpointer, type CheckpointerOptions } from './checkpointer.js';
import { RunFolder } from './run-folder.js';
import { bitsOf, header, vectorsOf } from './testing/checkpoint-vectors.js';
import { temporaryFolder } from './testing/temporary-folder.js';

const small: ParameterLayout = { network: 'generator', size: 20, tensors: [{ name: 'b', shape: [4, 4], offset: 0, size: 16 }, { name: 'a', shape: [4], offset: 16, size: 4 }] };

/** Three shards over two threads; a tensor lies across the threads, and the names sort in another order than the tensors lie. */
const SIZE = 2 * SHARD_FLOATS + 1_237;
const large: ParameterLayout = {
  network: 'generator',
  size: SIZE,
  tensors: [
    { name: 'b.10', shape: [SHARD_FLOATS - 5], offset: 0, size: SHARD_FLOATS - 5 },
    { name: 'b.2', shape: [SHARD_FLOATS + 10], offset: SHARD_FLOATS - 5, size: SHARD_FLOATS + 10 },
    { name: 'a', shape: [1_232], offset: 2 * SHARD_FLOATS + 5, size: 1_232 },
  ],
};

interface Scene {
  readonly folder: RunFolder;
  readonly aggregators: Aggregators;
  readonly checkpointer: Checkpointer;
  readonly saved: number[];
  readonly troubles: { readonly what: string; readonly error: Dd2Error }[];
  /** Sets every vector to what depends on `seed`. */
  readonly become: (seed: number) => Promise<void>;
}

async function scene(layout: ParameterLayout, more: Partial<CheckpointerOptions> = {}, folder?: RunFolder): Promise<Scene> {
  const home = folder ?? new RunFolder(await temporaryFolder(), 'run');
  await home.create();
  const aggregators = new Aggregators(layout.size, layout === large ? 2 : 1);
  const saved: number[] = [];
  const troubles: Scene['troubles'] = [];
  const checkpointer = new Checkpointer({
    folder: home,
    layout,
    aggregators,
    keep: 100,
    held: () => [],
    best: () => undefined,
    verify: () => Promise.resolve(),
    onSaved: (update) => saved.push(update),
    onTrouble: (what, error) => troubles.push({ what, error }),
    backoffMs: 5,
    ...more,
  });
  onTestFinished(async () => {
    await checkpointer.settled();
    await aggregators.terminate();
  });
  const become = async (seed: number): Promise<void> => {
    const vectors = vectorsOf(layout, seed);
    await Promise.all(checkpointVectors.map((name) => aggregators.load(name, vectors[name])));
  };
  await become(1);
  return { folder: home, aggregators, checkpointer, saved, troubles, become };
}

async function loaded(folder: RunFolder, layout: ParameterLayout, update: number): Promise<CheckpointVectors> {
  return (await loadCheckpoint(folder, layout, update)).vectors;
}

/** Something that everything waits for until it is opened. */
function gate(): { readonly open: () => void; readonly passed: Promise<void> } {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, passed };
}

/** Makes the checkpoints' folder unusable until it is repaired. */
async function spoil({ folder }: Scene): Promise<() => Promise<void>> {
  const path = folder.file('checkpoints');
  await rename(path, `${path}.kept`);
  await writeFile(path, 'in the way');
  return async () => {
    await rm(path);
    await rename(`${path}.kept`, path);
  };
}

describe('Checkpointer', () => {
  it('writes the state as it was when it was asked to, whatever comes after', async () => {
    const { folder, checkpointer, aggregators, become, saved } = await scene(large);
    await checkpointer.save(header(1));
    const changed = become(2);
    await checkpointer.save(header(2));
    const zeroed = checkpointVectors.map((name) => aggregators.zero(name, name));
    await Promise.all([changed, ...zeroed]);
    await checkpointer.finish(header(3));
    expect(saved).toEqual([1, 2, 3]);
    for (const update of [1, 2]) expect(bitsOf(await loaded(folder, large, update)), `update ${update}`).toEqual(bitsOf(vectorsOf(large, update)));
    for (const vector of Object.values(await loaded(folder, large, 3))) expect(vector.every((value) => value === 0)).toBe(true);
    expect((await loadCheckpoint(folder, large, 2)).manifest).toMatchObject(header(2));
  });

  it('takes the state of an update once: what a phase makes of it afterwards belongs to the next', async () => {
    const { folder, checkpointer, become, saved } = await scene(small);
    await checkpointer.save(header(4));
    await become(9);
    await checkpointer.save(header(4));
    await checkpointer.finish(header(4));
    expect(saved).toEqual([4]);
    expect(bitsOf(await loaded(folder, small, 4))).toEqual(bitsOf(vectorsOf(small, 1)));
  });

  it('does not write what the run was loaded from', async () => {
    const { folder, checkpointer, saved } = await scene(small);
    await checkpointer.finish(header(4));
    const before = await stat(checkpointPath(folder, 4));
    const next = await scene(small, {}, folder);
    next.checkpointer.adopt(4);
    await next.checkpointer.finish(header(4));
    expect(next.saved).toEqual([]);
    expect((await stat(checkpointPath(folder, 4))).ino).toBe(before.ino);
    expect(saved).toEqual([4]);
  });

  it('tells which checkpoints exist once that is known', async () => {
    const { checkpointer } = await scene(small);
    expect(await checkpointer.saved(4)).toBe(false);
    await checkpointer.save(header(4));
    const first = checkpointer.saved(4);
    await checkpointer.save(header(5));
    expect(await first).toBe(true);
    expect(await checkpointer.saved(5)).toBe(true);
    expect(await checkpointer.saved(4)).toBe(true);
  });

  it('keeps the last ones, the best by FID, and those that evaluations hold', async () => {
    const held = new Set([2]);
    const { folder, checkpointer } = await scene(small, { keep: 2, held: () => held, best: () => 3 });
    for (let update = 1; update <= 6; update++) await checkpointer.finish(header(update));
    await checkpointer.settled();
    expect(await listCheckpoints(folder)).toEqual([6, 5, 3, 2]);
    held.clear();
    await checkpointer.finish(header(7));
    await checkpointer.settled();
    expect(await listCheckpoints(folder)).toEqual([7, 6, 3]);
  });

  it('can be used again after it has settled', async () => {
    const { folder, checkpointer, become } = await scene(small);
    await checkpointer.finish(header(1));
    await checkpointer.settled();
    await become(2);
    await checkpointer.finish(header(2));
    expect(bitsOf(await loaded(folder, small, 2))).toEqual(bitsOf(vectorsOf(small, 2)));
  });
});

describe('a checkpoint that cannot be written', () => {
  it('is told, and written later, as the state was then', async () => {
    let repair = (): Promise<void> => Promise.resolve();
    const stage: Scene = await scene(small, {
      onTrouble: (what, error) => {
        stage.troubles.push({ what, error });
        if (stage.troubles.length === 2) void repair();
      },
      backoffMs: 50,
    });
    const { folder, checkpointer, troubles, saved, become } = stage;
    repair = await spoil(stage);
    await checkpointer.save(header(1));
    await become(2);
    expect(await checkpointer.saved(1)).toBe(true);
    expect(troubles.map(({ what }) => what)).toEqual([
      'the checkpoint of update 1 could not be written; it is tried again in 0.05 s',
      'the checkpoint of update 1 could not be written; it is tried again in 0.1 s',
    ]);
    expect(troubles[0]?.error).toMatchObject({ code: 'INTERNAL' });
    expect(saved).toEqual([1]);
    expect(bitsOf(await loaded(folder, small, 1))).toEqual(bitsOf(vectorsOf(small, 1)));
  });

  it('is given up in the end, which is no harm to the next', async () => {
    const stage = await scene(small);
    const { folder, checkpointer, troubles, saved } = stage;
    const repair = await spoil(stage);
    await checkpointer.save(header(1));
    expect(await checkpointer.saved(1)).toBe(false);
    expect(troubles).toHaveLength(4);
    expect(troubles[3]?.what).toBe('the checkpoint of update 1 could not be written; it is given up');
    await repair();
    await checkpointer.save(header(2));
    expect(await checkpointer.saved(2)).toBe(true);
    expect(saved).toEqual([2]);
    expect(await listCheckpoints(folder)).toEqual([2]);
    expect(await checkpointer.saved(1)).toBe(false);
  });

  it('fails a run only when it is the one that it ends with; asked again, the state is still that of the update', async () => {
    const stage = await scene(small);
    const { folder, checkpointer, become } = stage;
    const repair = await spoil(stage);
    await checkpointer.save(header(4));
    await become(5); // the transition of a phase
    await expect(checkpointer.finish(header(4))).rejects.toMatchObject({ code: 'RUN_FAILED', field: checkpointPath(folder, 4), cause: { code: 'INTERNAL' } });
    await repair();
    await checkpointer.finish(header(4));
    expect(bitsOf(await loaded(folder, small, 4))).toEqual(bitsOf(vectorsOf(small, 1)));
  });

  it('makes room for a newer one, unless an evaluation waits for it', async () => {
    for (const held of [false, true]) {
      const told = gate();
      const stage: Scene = await scene(small, { held: () => (held ? [1] : []), onTrouble: () => told.open(), backoffMs: held ? 100 : 3_600_000 });
      const { checkpointer } = stage;
      const repair = await spoil(stage);
      await checkpointer.save(header(1));
      await told.passed;
      await repair();
      await checkpointer.save(header(2));
      expect(await checkpointer.saved(2)).toBe(true);
      expect(await checkpointer.saved(1)).toBe(held);
    }
  });

  it('is not tried again by who may not write any more', async () => {
    const fenced = new Dd2Error('FENCED', 'this coordinator is stale');
    const { folder, checkpointer, troubles } = await scene(small, { verify: () => Promise.reject(fenced) });
    await expect(checkpointer.finish(header(1))).rejects.toMatchObject({ code: 'RUN_FAILED', cause: fenced });
    expect(troubles).toEqual([{ what: 'the checkpoint of update 1 could not be written; it is given up', error: fenced }]);
    expect(await readdir(folder.file('checkpoints'))).toEqual([]);
  });

  it('is told when the threads that hold the state have ended', async () => {
    const { checkpointer, aggregators, troubles } = await scene(small);
    await aggregators.terminate();
    await expect(checkpointer.finish(header(1))).rejects.toMatchObject({ code: 'RUN_FAILED', cause: { code: 'CANCELLED' } });
    expect(troubles).toHaveLength(1);
  });

  it('leaves the others as they are when the old ones cannot be removed', async () => {
    const refusal = new Dd2Error('UNAVAILABLE', 'not now');
    let verified = 0;
    const { folder, checkpointer, troubles } = await scene(small, { keep: 1, verify: () => (++verified === 3 ? Promise.reject(refusal) : Promise.resolve()) });
    await checkpointer.finish(header(1));
    await checkpointer.finish(header(2));
    await checkpointer.settled();
    expect(troubles).toEqual([{ what: 'checkpoints that are no longer needed could not be removed', error: refusal }]);
    expect(await listCheckpoints(folder)).toEqual([2]);
  });
});

describe('a disk that cannot follow', () => {
  it('gets the newest, which holds up no update', async () => {
    const disk = gate();
    const { folder, checkpointer, troubles, saved, become } = await scene(small, { verify: () => disk.passed });
    for (let update = 1; update <= 9; update++) {
      await become(update);
      await checkpointer.save(header(update));
    }
    const left = [2, 3, 4, 5, 6, 7].map((update) => checkpointer.saved(update));
    expect(await Promise.all(left)).toEqual(left.map(() => false));
    disk.open();
    await checkpointer.settled();
    expect(saved).toEqual([1, 8, 9]); // one is being written, two wait
    for (const update of saved) expect(bitsOf(await loaded(folder, small, update))).toEqual(bitsOf(vectorsOf(small, update)));
    expect(troubles).toMatchObject([{ what: 'the checkpoint of update 2 is left out', error: { code: 'UNAVAILABLE' } }]);
  });

  it('is waited for only when evaluations need all that it has not written yet', async () => {
    const disk = gate();
    const { folder, checkpointer, saved, become } = await scene(small, { held: () => [2, 4], verify: () => disk.passed });
    for (let update = 1; update <= 4; update++) {
      await become(update);
      await checkpointer.save(header(update));
    }
    await become(5);
    let taken = false;
    const fifth = checkpointer.save(header(5)).then(() => (taken = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(taken).toBe(false);
    disk.open();
    await fifth;
    await checkpointer.settled();
    expect(saved).toEqual([1, 2, 4, 5]);
    for (const update of saved) expect(bitsOf(await loaded(folder, small, update))).toEqual(bitsOf(vectorsOf(small, update)));
  });
});

const mounted = ((): string | undefined => {
  if (process.platform !== 'linux') return 'needs Linux';
  return spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0 ? undefined : 'this user may not mount';
})();

describe.skipIf(mounted !== undefined)(`a full disk${mounted === undefined ? '' : ` (${mounted})`}`, () => {
  it('is told with its reason, leaves nothing behind, and is written to when there is room again', async () => {
    const home = new RunFolder(await temporaryFolder(), 'run');
    await home.create();
    const checkpoints = home.file('checkpoints');
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=100k', 'none', checkpoints]).status).toBe(0);
    onTestFinished(() => void spawnSync('umount', [checkpoints]));
    await writeFile(join(checkpoints, 'filler'), Buffer.alloc(90_000));
    const left: Promise<string[]>[] = [];
    const stage: Scene = await scene(small, {
      onTrouble: (what, error) => {
        stage.troubles.push({ what, error });
        left.push(readdir(checkpoints));
        if (stage.troubles.length === 3) void rm(join(checkpoints, 'filler'));
      },
      backoffMs: 50,
    }, home);
    await stage.checkpointer.finish(header(1));
    expect(stage.troubles).toHaveLength(3);
    for (const { error } of stage.troubles) expect(error.message).toContain('ENOSPC');
    expect(await left[0]).toEqual(['filler']);
    expect(await readdir(checkpoints)).toEqual(['1']);
    expect(bitsOf(await loaded(home, small, 1))).toEqual(bitsOf(vectorsOf(small, 1)));
  });
});

describe('a process that is killed while it writes checkpoints', () => {
  it('leaves whole ones only, and what the next one clears away', async () => {
    const dataDir = await temporaryFolder();
    const folder = new RunFolder(dataDir, 'run');
    await folder.create();
    const dist = new URL('../dist/', import.meta.url).href;
    const program = `
      import { Aggregators } from '${dist}aggregators.js';
      import { checkpointVectors } from '${dist}checkpoint.js';
      import { Checkpointer } from '${dist}checkpointer.js';
      import { RunFolder } from '${dist}run-folder.js';
      const layout = ${JSON.stringify(large)};
      const aggregators = new Aggregators(layout.size, 2);
      const folder = new RunFolder(${JSON.stringify(dataDir)}, 'run');
      const checkpointer = new Checkpointer({ folder, layout, aggregators, keep: 2, held: () => [], best: () => undefined, verify: async () => {}, onSaved: (update) => console.log(update), onTrouble: (what, error) => { throw error; } });
      for (let update = 1; ; update++) {
        for (const name of checkpointVectors) await aggregators.load(name, new Float32Array(layout.size).fill(update));
        await checkpointer.finish({ ...${JSON.stringify(header(0))}, update });
      }`;
    const script = join(dataDir, 'writes.mjs');
    await writeFile(script, program);
    for (const patienceMs of [0, 20, 50, 110]) {
      const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
      onTestFinished(() => void child.kill('SIGKILL'));
      await once(child.stdout, 'data'); // the first is complete
      await new Promise((resolve) => setTimeout(resolve, patienceMs));
      child.kill('SIGKILL');
      await once(child, 'close');
      const updates = await listCheckpoints(folder);
      expect(updates.length).toBeGreaterThan(0);
      for (const update of updates) {
        for (const vector of Object.values(await loaded(folder, large, update))) expect(vector.every((value) => value === update), `update ${update}`).toBe(true);
      }
    }
    const { checkpointer } = await scene(large, { keep: 1 }, folder);
    await checkpointer.finish(header(1_000));
    await checkpointer.settled();
    expect(await readdir(folder.file('checkpoints'))).toEqual(['1000']);
  });
});

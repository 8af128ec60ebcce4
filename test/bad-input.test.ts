import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { root, runDd2, temporaryFolder } from './support/processes.js';

/** As `dd2 help exit-codes` has them. */
const exitCodes: Readonly<Record<string, number>> = { INVALID_SPEC: 2, ASSET_MISSING: 3, UNAVAILABLE: 5, ASSET_CORRUPT: 8, PROVIDER_UNAVAILABLE: 9 };

/** Whatever is wrong with what a user gives: one line that names the code, the field and the remedy; nothing is written. */
describe('bad input', { timeout: 60_000 }, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  const good = join(root, 'configs/mnist.yaml');

  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.dispose());

  const refused = async (args: readonly string[], code: string, ...words: readonly string[]): Promise<void> => {
    const before = await readdir(folder.path);
    const dataDir = join(folder.path, 'data');
    const { code: exitCode, output } = await runDd2([...args, '--data-dir', dataDir]);
    expect(exitCode).toBe(exitCodes[code]);
    expect(output.trim().split('\n')).toHaveLength(1);
    expect(output).toMatch(new RegExp(`^error ${code}: `));
    for (const word of words) expect(output).toContain(word);
    expect(await readdir(folder.path)).toEqual(before);
  };

  it.each([
    ['an unknown field', 'phases.tune.updatez=3', 'phases.tune.updatez'],
    ['a wrong type', 'phases.tune.updates=many', 'phases.tune.updates'],
    ['a fraction where a whole number is due', 'seed=0.5', 'seed'],
    ['an impossible cycle', 'phases.distill.cycle.generator=0', 'phases.distill.cycle.generator'],
    ['a cycle with an unknown network', 'phases.distill.cycle.critic=1', 'phases.distill.cycle.critic'],
    ['micro-batches that do not divide the batch', 'phases.distill.guidance.microBatches=3', 'phases.distill.guidance.microBatches'],
    ['an empty range of noise levels', 'phases.distill.time.min=1', 'phases.distill.time.min'],
    ['an unknown execution provider', 'execution.provider=tpu', 'execution.provider'],
    ['a multi-step setting that keeps every token', 'evaluation.multiStep=[16]', 'evaluation.multiStep'],
  ])('refuses %s', async (_, assignment, field) => {
    await refused(['train', good, '--set', assignment], 'INVALID_SPEC', field);
  });

  it('refuses a file that is not YAML', async () => {
    const file = join(folder.path, 'spec.yaml');
    await writeFile(file, 'name: [mnist\nseed: 0\n');
    await refused(['train', file], 'INVALID_SPEC', 'line');
  });

  it('refuses a spec without its required fields', async () => {
    const file = join(folder.path, 'spec.yaml');
    await writeFile(file, 'name: mnist\n');
    await refused(['train', file], 'INVALID_SPEC', 'seed');
  });

  it('refuses missing assets and says how to make them', async () => {
    await refused(['train', good, '--set', 'assets=/nowhere'], 'ASSET_MISSING', 'no folder /nowhere (assets)', 'Correct the path', 'dd2 prepare mnist --out /nowhere');
  });

  it.each([
    ['flipped', (bytes: Buffer): Buffer => { bytes.writeUInt8(bytes.readUInt8(bytes.length - 9) ^ 1, bytes.length - 9); return bytes; }],
    ['cut', (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length - 100)],
    ['empty', (): Buffer => Buffer.alloc(0)],
  ])('refuses a safetensors file that is %s', async (_, damage) => {
    const assets = join(folder.path, 'assets');
    await cp(join(root, 'assets/mnist'), assets, { recursive: true });
    const file = join(assets, 'teacher.safetensors');
    await writeFile(file, damage(await readFile(file)));
    await refused(['train', good, '--set', `assets=${assets}`], 'ASSET_CORRUPT', 'teacher.safetensors', 'dd2 prepare mnist');
  });

  it.each(['train', 'up'])('%s refuses an execution provider that this machine does not have, before anything starts', async (command) => {
    await refused([command, good, '--set', 'execution.provider=cuda'], 'PROVIDER_UNAVAILABLE', 'cuda');
  });

  it('says so when no coordinator listens', async () => {
    const { code, output } = await runDd2(['run', 'list', '--server', '127.0.0.1:9']);
    expect(code).toBe(exitCodes['UNAVAILABLE']);
    expect(output).toMatch(/^error UNAVAILABLE: .*127\.0\.0\.1:9/);
  });
});

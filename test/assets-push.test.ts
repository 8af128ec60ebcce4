import { createHash, randomBytes } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { checkpointHashes, eventsOf, eventually, root, runDd2, startDd2, temporaryFolder, type Dd2Process } from './support/processes.js';

// Several processes one after the other, on machines that do other things as well.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

/** A laptop with nothing but a spec, its asset bundle, certificates and a token; and a coordinator that shares no folder with it. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let dataDir = '';
let laptop = '';
let port = '';
let coordinator: Dd2Process;
const started: Dd2Process[] = [];

const certsOf = (machine: string): string[] => ['--certs', join(machine, 'certs')];
const dd2 = (...args: string[]) => runDd2([...args, '--server', `https://127.0.0.1:${port}`, '--certs', 'certs', '--token-file', 'token'], laptop);
const pushes = (): number => coordinator.output().split('an asset bundle was pushed').length - 1;
const bundles = async (): Promise<string[]> => (await readdir(join(dataDir, 'assets')).catch(() => [])).sort();
const settings = ['--until-update', '3', '--set', 'checkpoint.everyUpdates=1'];

async function startCoordinator(at = '0'): Promise<void> {
  coordinator = startDd2(['coordinator', '--data-dir', dataDir, '--port', at, ...certsOf(folder.path)]);
  started.push(coordinator);
  [, port = ''] = await coordinator.until(/coordinator at \S+:(\d+)/);
}

/** Resolves with the state in which a run ends. */
const ended = (runId: string, data: string): Promise<unknown> =>
  eventually(async () => {
    const state = (await eventsOf(data, runId)).at(-1)?.['state'];
    return ['completed', 'failed', 'cancelled', 'paused'].includes(String(state)) ? state : undefined;
  });

async function submitted(...args: string[]): Promise<string> {
  const { code, output } = await dd2('run', 'submit', ...args);
  expect(code, output).toBe(0);
  return output.trim();
}

/** A bundle whose teacher is no teacher, but has any size. */
async function largeBundle(target: string, bytes: number): Promise<void> {
  await cp(join(root, 'assets/mnist'), target, { recursive: true });
  const teacher = randomBytes(bytes);
  await writeFile(join(target, 'teacher.safetensors'), teacher);
  const manifest = JSON.parse(await readFile(join(target, 'manifest.json'), 'utf8')) as { files: Record<string, object> };
  manifest.files['teacher.safetensors'] = { sha256: createHash('sha256').update(teacher).digest('hex'), bytes };
  await writeFile(join(target, 'manifest.json'), JSON.stringify(manifest));
}

beforeAll(async () => {
  folder = await temporaryFolder();
  dataDir = join(folder.path, 'data');
  laptop = join(folder.path, 'laptop');
  await mkdir(join(laptop, 'configs'), { recursive: true });
  await cp(join(root, 'configs/chaos.yaml'), join(laptop, 'configs/chaos.yaml'));
  await cp(join(root, 'assets/mnist'), join(laptop, 'assets/mnist'), { recursive: true });
  expect((await runDd2(['certs', 'init', '--dir', join(folder.path, 'certs')])).code).toBe(0);
  await cp(join(folder.path, 'certs'), join(laptop, 'certs'), { recursive: true, filter: (name) => !/(server\.|ca\.key)/.test(name) });
  await startCoordinator();
  await cp(join(dataDir, 'tokens/api'), join(laptop, 'token'));
});
afterAll(async () => {
  for (const { child } of started) child.kill('SIGTERM');
  for (const { exit } of started) await exit;
  await folder.dispose();
});

describe('a laptop', () => {
  it('says that a bundle is missing, and both ways out', async () => {
    const { code, output } = await dd2('run', 'submit', 'configs/chaos.yaml', '--set', 'assets=../assets/none');
    expect([code, output]).toEqual([3, expect.stringMatching(/^error ASSET_MISSING: there is no folder \S+laptop\/assets\/none \(assets\)\. .+it is pushed; .+--base-path.+\n$/)]);
    const validated = await dd2('run', 'validate', 'configs/chaos.yaml', '--remote', '--set', 'assets=../assets/none');
    expect([validated.code, validated.output]).toEqual([2, expect.stringMatching(/^configs\/chaos\.yaml:5: there is no folder .+ \(assets\)\. .+--base-path.+\n$/)]);
    expect(await bundles()).toEqual([]);
  });

  it('submits a run, and its checkpoints are those of a run at home', async () => {
    const worker = startDd2(['worker', '--coordinator', `127.0.0.1:${port}`, '--data-dir', dataDir, ...certsOf(folder.path)]);
    started.push(worker);
    const runId = await submitted('configs/chaos.yaml', ...settings);
    expect(runId).toMatch(/^chaos-[0-9a-f]{8}$/);
    expect(await ended(runId, dataDir)).toBe('paused');
    const [id = ''] = await bundles();
    expect(id).toBe(createHash('sha256').update(await readFile(join(laptop, 'assets/mnist/manifest.json'))).digest('hex'));
    expect(await readFile(join(dataDir, 'runs', runId, 'spec.yaml'), 'utf8')).toContain(join(dataDir, 'assets', id));

    const home = join(folder.path, 'home');
    const trained = await runDd2(['train', join(root, 'configs/chaos.yaml'), ...settings, '--workers', '1', '--data-dir', home]);
    expect(trained.code, trained.output).toBe(0);
    expect(await checkpointHashes(dataDir, 3, runId)).toEqual(await checkpointHashes(home, 3));

    // Again, from another place: the same run, and nothing is pushed.
    expect(pushes()).toBe(1);
    const { ino, mtimeMs } = await stat(join(dataDir, 'assets', id, 'teacher.safetensors'));
    await cp(join(laptop, 'assets/mnist'), join(laptop, 'moved'), { recursive: true });
    expect(await submitted('configs/chaos.yaml', ...settings, '--set', 'assets=../moved')).toBe(runId);
    expect(await stat(join(dataDir, 'assets', id, 'teacher.safetensors'))).toMatchObject({ ino, mtimeMs });
    expect(await bundles()).toEqual([id]);
    expect(pushes()).toBe(1);

    // Another content is another run.
    const manifest = join(laptop, 'moved/manifest.json');
    await writeFile(manifest, (await readFile(manifest, 'utf8')).replace('"name": "mnist"', '"name": "other"').replace(/"seed": 0/, '"seed": 1'));
    expect(await submitted('configs/chaos.yaml', ...settings, '--set', 'assets=../moved')).not.toBe(runId);
    expect(pushes()).toBe(2);
  });

  it('validates, pushes by hand, and names folders of the coordinator', async () => {
    const valid = await dd2('run', 'validate', 'configs/chaos.yaml', '--remote');
    expect([valid.code, valid.output]).toEqual([0, expect.stringContaining('nothing is wrong with it')]);
    const { code, output } = await dd2('assets', 'push', 'assets/mnist', '--json');
    expect(code, output).toBe(0);
    const pushed = JSON.parse(output) as { folder: string; sent: boolean };
    expect(pushed).toMatchObject({ folder: expect.stringContaining(join(dataDir, 'assets')) as string, sent: false });
    expect((await dd2('assets', 'push', 'assets/mnist')).output).toBe(`${pushed.folder}\n`);
    const runId = await submitted('configs/chaos.yaml', ...settings);
    await rm(join(laptop, 'assets'), { recursive: true });
    expect(await submitted('configs/chaos.yaml', ...settings, '--set', `assets=${pushed.folder}`)).toBe(runId);
    const before = pushes();
    await submitted('configs/chaos.yaml', ...settings, '--base-path', join(root, 'configs'));
    expect((await dd2('run', 'submit', 'configs/chaos.yaml', '--base-path', laptop)).output).toMatch(/^error ASSET_MISSING: /);
    expect(pushes()).toBe(before);
  });
});

describe('bundles that were pushed', () => {
  interface Listed {
    readonly manifestSha256: string;
    readonly name: string;
    readonly bytes: number;
    readonly neededBy: readonly string[];
  }
  const listed = async (): Promise<Listed[]> => (JSON.parse((await dd2('assets', 'list', '--json')).output) as { bundles: Listed[] }).bundles;

  it('are listed, and removed once no run needs them', async () => {
    const before = await listed();
    expect(before.map(({ manifestSha256 }) => manifestSha256).sort()).toEqual(await bundles());
    const one = before.find(({ name }) => name === 'other');
    const id = one?.manifestSha256 ?? '';
    expect(one?.neededBy).toEqual([expect.stringMatching(/^chaos-/)]);
    const { output } = await dd2('assets', 'list');
    expect(output).toMatch(/^sha256 +name +size +pushed +needed by\n/);
    expect(output).toMatch(new RegExp(`^${id.slice(0, 12)}  other +[\\d.]+ MB .+chaos-`, 'm'));
    expect(output).toMatch(/^room for [\d.]+ \w+ more$/m);

    const refused = await dd2('assets', 'remove', id.slice(0, 12));
    expect([refused.code, refused.output]).toEqual([6, expect.stringMatching(/^error RUN_CONFLICT: the bundle is needed by run chaos-\w+ \(manifest_sha256\)\. /)]);
    for (const run of one?.neededBy ?? []) expect((await dd2('run', 'cancel', run)).code).toBe(0);
    const removed = await dd2('assets', 'remove', id.slice(0, 12));
    expect([removed.code, removed.output]).toEqual([0, expect.stringMatching(new RegExp(`^${id} other removed \\([\\d.]+ MB\\); room for `))]);
    expect((await dd2('assets', 'remove', id)).code).toBe(3);
    expect(await bundles()).toEqual(before.map(({ manifestSha256 }) => manifestSha256).filter((name) => name !== id).sort());
    expect((await dd2('assets', 'push', 'moved')).code).toBe(0);
    expect((await listed()).find(({ manifestSha256 }) => manifestSha256 === id)).toMatchObject({ bytes: one?.bytes, neededBy: [] });
  });
});

describe('a push that is cut off leaves nothing', () => {
  let large = '';
  const unfinished = async (): Promise<string[]> => (await bundles()).filter((name) => name.includes('.new-'));

  beforeAll(async () => {
    large = join(laptop, 'large');
    await largeBundle(large, 300_000_000);
  });

  /** A push that is under way. */
  async function underWay(): Promise<Dd2Process> {
    const push = startDd2(['assets', 'push', large, '--server', `https://127.0.0.1:${port}`, '--certs', 'certs', '--token-file', 'token'], {}, [], laptop);
    started.push(push);
    await eventually(async () => ((await unfinished()).length > 0 ? true : undefined), 2);
    return push;
  }

  it('when who pushes is killed', async () => {
    const before = await bundles();
    const push = await underWay();
    push.child.kill('SIGKILL');
    await eventually(async () => ((await unfinished()).length === 0 ? true : undefined));
    expect(await bundles()).toEqual(before);
  });

  it('when the coordinator is killed, once it is back', async () => {
    const before = await bundles();
    const push = await underWay();
    coordinator.child.kill('SIGKILL');
    await coordinator.exit;
    expect(await push.exit).toBe(5);
    expect(push.output()).toMatch(/^error UNAVAILABLE: .+Push it again/);
    expect(await unfinished()).toHaveLength(1);
    await startCoordinator(port);
    expect(await bundles()).toEqual(before);
    const { code, output } = await dd2('assets', 'push', large);
    expect(code, output).toBe(0);
    expect(await bundles()).toHaveLength(before.length + 1);
  });
});

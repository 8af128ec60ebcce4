import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bundleFiles, openBundle } from '@dd2/assets';
import { Coordinator } from '@dd2/coordinator';
import { createClient, createServer, RunService, sha256, WorkerService, type Handlers } from '@dd2/proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LiveOutput } from '../render/live-output.js';
import type { RunClient } from '../run-client.js';
import { idempotencyKey, readSpecFile } from '../spec-file.js';
import { placeAssets } from './place-assets.js';
import { piecesOf, pushAssets } from './push-assets.js';

const root = path.resolve(import.meta.dirname, '../../../..');
const mnist = path.join(root, 'assets/mnist');
const spec = path.join(root, 'configs/chaos.yaml');
const closers: (() => unknown)[] = [];
let folder = '';
let coordinator: Coordinator;
let client: RunClient;

function clientOf(address: string): RunClient {
  const made = createClient(RunService, address);
  closers.push(() => made.close());
  return made;
}

const started = (dataDir: string): Promise<Coordinator> => Coordinator.start({ dataDir });
const there = async (): Promise<string[]> => readdir(path.join(folder, 'data/assets')).catch(() => []);
const idOf = async (bundle: string): Promise<string> => sha256([await readFile(path.join(bundle, 'manifest.json'))]);

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dd2-push-'));
  coordinator = await started(path.join(folder, 'data'));
  closers.push(() => coordinator.close());
  client = clientOf(coordinator.address);
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await rm(folder, { recursive: true, force: true });
});

/** A copy of the bundle that may be changed. */
async function copied(name = 'mine'): Promise<string> {
  const copy = path.join(folder, name);
  await cp(mnist, copy, { recursive: true });
  return copy;
}

describe('pushAssets', () => {
  it('sends a bundle once', async () => {
    const target = path.join(folder, 'data/assets', await idOf(mnist));
    const { bytes, ...first } = await pushAssets(client, mnist);
    expect(first).toEqual({ folder: target, sent: true });
    expect((await openBundle(target)).manifest).toEqual((await openBundle(mnist)).manifest);
    expect(await pushAssets(client, mnist)).toEqual({ folder: target, bytes, sent: false });
    expect(await pushAssets(client, await copied())).toEqual({ folder: target, bytes, sent: false });
    expect(await there()).toHaveLength(1);
  });

  it('shows people how far it is', async () => {
    let shown = '';
    const { bytes } = await pushAssets(client, mnist, new LiveOutput({ isTTY: true, columns: 200, write: (text) => (shown += text) }));
    expect(shown).toMatch(/pushing \S+mnist: [\d.]+ MB of 3\.6 MB, [\d.]+ MB\/s; the coordinator checks it/);
    expect(bytes).toBeGreaterThan(3e6);
    let logged = '';
    await pushAssets(client, mnist, new LiveOutput({ write: (text) => (logged += text) }));
    expect(logged).toBe('');
  });

  it('looks at the bundle before it asks', async () => {
    const damaged = await copied();
    await truncate(path.join(damaged, 'teacher.safetensors'), 5);
    await expect(pushAssets(client, damaged)).rejects.toMatchObject({ code: 'ASSET_CORRUPT', message: expect.stringContaining(path.join(damaged, 'teacher.safetensors')) as string });
    await expect(pushAssets(client, path.join(folder, 'absent'))).rejects.toMatchObject({ code: 'ASSET_MISSING', field: 'assets' });
    expect(await there()).toEqual([]);
  });

  it('tells what the coordinator says, which goes on', async () => {
    const pieces = async function* (change: (name: string, data: Buffer) => Buffer) {
      for await (const { fileName, data, manifest } of piecesOf(mnist, await readFile(path.join(mnist, 'manifest.json')), 100_000)) {
        yield { ...(manifest && { manifest }), ...(fileName !== undefined && { fileName }), ...(data && { data: change(fileName ?? '', data as Buffer) }) };
      }
    };
    const upload = client.pushAssets();
    for await (const piece of pieces((name, data) => (name === 'teacher.safetensors' ? Buffer.from(data).fill(0, 0, 1) : data))) upload.stream.write(piece);
    upload.stream.end();
    await expect(upload.response).rejects.toMatchObject({ code: 'ASSET_CORRUPT', field: 'teacher.safetensors', remedy: expect.stringContaining('Push') as string });
    expect(await there()).toEqual([]);
    // A caller that goes on sending does not keep the connection from others.
    const stubborn = client.pushAssets();
    stubborn.stream.on('error', () => undefined);
    for (let sent = 0; sent < 64; sent++) stubborn.stream.write({ fileName: 'teacher.safetensors', data: Buffer.alloc(1 << 20) });
    await expect(stubborn.response).rejects.toMatchObject({ code: 'PROTOCOL' });
    expect((await pushAssets(client, mnist)).sent).toBe(true);
  });

  it('leaves nothing on the coordinator when its connection breaks', async () => {
    const leaving = clientOf(coordinator.address);
    const { stream, response } = leaving.pushAssets();
    stream.on('error', () => undefined);
    let sent = 0;
    for await (const piece of piecesOf(mnist, await readFile(path.join(mnist, 'manifest.json')), 100_000)) {
      stream.write(piece);
      if (++sent === 20) break;
    }
    await expect.poll(there).toHaveLength(1);
    leaving.close();
    stream.cancel();
    await expect(response).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect.poll(there).toEqual([]);
  });

  it('says what to do about a coordinator that knows of no bundles', async () => {
    const server = createServer();
    closers.push(() => server.close());
    server.add(WorkerService, new Proxy({}, { get: () => () => Promise.reject(new TypeError('not expected')) }) as Handlers<typeof WorkerService>);
    const old = clientOf(`127.0.0.1:${await server.listen('127.0.0.1:0')}`);
    await expect(pushAssets(old, mnist)).rejects.toMatchObject({ code: 'UNSUPPORTED_OPERATION', field: 'assets', remedy: expect.stringMatching(/Upgrade.+--base-path/) as string });
  });

  it('goes file by file, empty ones too', async () => {
    for (const [at, name] of bundleFiles.entries()) await writeFile(path.join(folder, name), Buffer.alloc(at * 7));
    const seen: [string | undefined, number][] = [];
    for await (const { fileName, data } of piecesOf(folder, Buffer.of(1), 10)) seen.push([fileName, data?.byteLength ?? 0]);
    expect(seen).toEqual([[undefined, 0], ['classifier.safetensors', 0], ['tokenizer.safetensors', 7], ['teacher.safetensors', 10], ['', 4], ['reference.safetensors', 10], ['', 10], ['', 1], ['tokens.safetensors', 10], ['', 10], ['', 8]]);
  });
});

describe('placeAssets', () => {
  it('names the folder there, and the run after spec and content', async () => {
    const placed = await placeAssets(client, readSpecFile(spec));
    expect(placed.spec.assets).toBe(path.join(folder, 'data/assets', await idOf(mnist)));
    const { run } = await client.submitRun({ specYaml: placed.text, overrides: [...placed.overrides], basePath: placed.folder, untilUpdate: 1 });
    expect(run?.name).toBe('chaos');
    const elsewhere = await placeAssets(client, readSpecFile(spec, [`assets=${await copied('with: odd #name')}`.replace('=', '="') + '"']));
    expect(idempotencyKey(elsewhere.spec)).toBe(idempotencyKey(placed.spec));
    const other = await copied();
    const manifest = path.join(other, 'manifest.json');
    await writeFile(manifest, (await readFile(manifest, 'utf8')).replace(/"name": "[^"]*"/, '"name": "other"'));
    expect(idempotencyKey((await placeAssets(client, readSpecFile(spec, [`assets=${other}`]))).spec)).not.toBe(idempotencyKey(placed.spec));
    expect(await there()).toHaveLength(2);
    // What `dd2 assets push` prints means the same in a run spec.
    const named = await placeAssets(client, readSpecFile(spec, [`assets=${placed.spec.assets}`]));
    expect(idempotencyKey(named.spec)).toBe(idempotencyKey(placed.spec));
  });

  it('says both ways out when there is no bundle here', async () => {
    const both = { code: 'ASSET_MISSING', field: 'assets', remedy: expect.stringMatching(/it is pushed; .+--base-path/) as string };
    await expect(placeAssets(client, readSpecFile(spec, ['assets=absent']))).rejects.toMatchObject(both);
    const incomplete = await copied();
    await rm(path.join(incomplete, 'tokens.safetensors'));
    await expect(placeAssets(client, readSpecFile(spec, [`assets=${incomplete}`]))).rejects.toMatchObject({ ...both, message: expect.stringContaining('tokens.safetensors') as string });
  });

  it('takes an absolute folder that is not here for one of the coordinator', async () => {
    const placed = await placeAssets(client, readSpecFile(spec, ['assets=/no/such/folder']));
    expect(placed).toMatchObject({ folder: '', spec: { assets: '/no/such/folder' }, overrides: ['assets=/no/such/folder'] });
  });
});

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Fence, type FenceOptions } from './fence.js';
import { thisProcess, type ProcessIdentity } from './process-identity.js';
import { temporaryFolder } from './testing/temporary-folder.js';

const fileSystem = vi.hoisted(() => ({ links: true }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const noLinks = Object.assign(new Error('no links here'), { code: 'EPERM' });
  return { ...real, link: (...args: Parameters<typeof real.link>) => (fileSystem.links ? real.link(...args) : Promise.reject(noLinks)) };
});
afterEach(() => {
  fileSystem.links = true;
});

/** long enough for a busy machine to beat in, short enough to wait for */
const TTL_MS = 800;

async function acquire(dataDir: string, options: FenceOptions = {}): Promise<Fence> {
  const fence = await Fence.acquire(dataDir, { ttlMs: TTL_MS, ...options });
  onTestFinished(() => fence.release());
  return fence;
}

/** What a coordinator that is no longer (or not here) has left in a data folder. */
async function claimOf(dataDir: string, holder: ProcessIdentity, more: { epoch?: number; beat?: string; ttlMs?: number } = {}): Promise<void> {
  const { epoch = 1, beat = '7', ttlMs = TTL_MS } = more;
  await mkdir(join(dataDir, 'fence'), { recursive: true });
  await writeFile(join(dataDir, 'fence', `epoch-${epoch}`), JSON.stringify({ epoch: String(epoch), token: 'other', ttlMs, ...holder }));
  await writeFile(join(dataDir, 'fence', `beat-${epoch}`), beat);
}

/** Another process that holds the fence of the folder, and prints what becomes of it. */
async function holderProcess(dataDir: string, ttlMs = TTL_MS): Promise<{ child: ChildProcess & { pid: number }; says: (word: string) => Promise<void> }> {
  const program = `
    import { Fence } from ${JSON.stringify(new URL('../dist/fence.js', import.meta.url).href)};
    const fence = await Fence.acquire(${JSON.stringify(dataDir)}, { ttlMs: ${ttlMs} });
    fence.lost.addEventListener('abort', () => console.log('lost ' + fence.lost.reason.code));
    process.stdin.on('data', async () => console.log(await fence.verify().then(() => 'verified', (error) => 'refused ' + error.code)));
    console.log('holds ' + fence.epoch);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const says = async (word: string): Promise<void> => {
    while (!text.includes(word)) await once(child.stdout, 'data');
  };
  await says('holds');
  if (child.pid === undefined) throw new Error('the process has no id');
  return { child: Object.assign(child, { pid: child.pid }), says };
}

describe('Fence', () => {
  it('counts epochs up, for ever, and keeps the identity of the data folder', async () => {
    const folder = await temporaryFolder();
    const identities = new Set<string>();
    for (let epoch = 1n; epoch <= 12n; epoch++) {
      const fence = await acquire(folder);
      expect(fence.epoch).toBe(epoch);
      identities.add(fence.clusterId);
      await fence.verify();
      await fence.release();
    }
    expect(identities.size).toBe(1);
    expect([...identities][0]).toMatch(/^[0-9a-f]{32}$/);
    expect((await readdir(join(folder, 'fence'))).sort()).toEqual(['beat-12', 'cluster', 'epoch-12', 'newest']);
    expect((await acquire(await temporaryFolder())).clusterId).not.toBe([...identities][0]);
  });

  it('is held by one: another claim is refused, naming host and process, and changes nothing', async () => {
    const folder = await temporaryFolder();
    const fence = await acquire(folder);
    await expect(Fence.acquire(folder)).rejects.toMatchObject({
      code: 'RUN_CONFLICT',
      field: folder,
      message: expect.stringContaining(`process ${process.pid} on ${hostname()}`) as string,
      details: { host: hostname(), pid: process.pid },
    });
    await fence.verify();
    expect(fence.lost.aborted).toBe(false);
  });

  it.each([true, false])('is given to exactly one of many that claim it at once (on a file system with links: %s)', async (links) => {
    fileSystem.links = links;
    const folder = await temporaryFolder();
    for (let round = 1; round <= 3; round++) {
      const claims = await Promise.allSettled(Array.from({ length: 8 }, () => acquire(folder)));
      const owners = claims.flatMap((claim) => (claim.status === 'fulfilled' ? [claim.value] : []));
      const refusals = claims.flatMap((claim) => (claim.status === 'rejected' ? [(claim.reason as { code: string }).code] : []));
      expect(owners).toHaveLength(1);
      expect(refusals).toEqual(new Array(7).fill('RUN_CONFLICT'));
      await owners[0]?.verify();
      await owners[0]?.release();
    }
  });

  it('is taken over at once from a process that was killed', async () => {
    const folder = await temporaryFolder();
    // Its time to live is a day: what is waited for here is not that.
    const { child } = await holderProcess(folder, 86_400_000);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect((await acquire(folder)).epoch).toBe(2n);
  });

  it('is taken over from a process that is suspended, which finds out by its next beat, or before by its next write', async () => {
    const folder = await temporaryFolder();
    const { child, says } = await holderProcess(folder);
    child.kill('SIGSTOP');
    const fence = await acquire(folder);
    expect(fence.epoch).toBe(2n);
    child.stdin?.write('verify');
    child.kill('SIGCONT');
    await says('refused FENCED');
    await says('lost FENCED');
    await fence.verify();
  });

  it('tells the loser everywhere once a newer epoch exists', async () => {
    const folder = await temporaryFolder();
    const fence = await acquire(folder, { ttlMs: 3_600_000 }); // no beat of its own will tell it
    await claimOf(folder, await thisProcess(), { epoch: 2 });
    const heard = once(fence.lost, 'abort');
    await expect(fence.verify()).rejects.toMatchObject({ code: 'FENCED', message: expect.stringContaining('epoch 2 has taken the data folder over') as string });
    await heard;
    expect(fence.lost.reason).toMatchObject({ code: 'FENCED' });
    await rm(join(folder, 'fence', 'epoch-2')); // once lost, lost for ever
    await expect(fence.verify()).rejects.toMatchObject({ code: 'FENCED' });
    await fence.release();
    expect(await readFile(join(folder, 'fence', 'beat-1'), 'utf8')).not.toContain('released');
  });

  it('believes the file of the newest epoch when the listing of the folder is an old one', async () => {
    const folder = await temporaryFolder();
    const fence = await acquire(folder);
    await writeFile(join(folder, 'fence', 'newest'), '9');
    await expect(fence.verify()).rejects.toMatchObject({ code: 'FENCED' });
    expect((await acquire(folder)).epoch).toBe(10n);
  });

  it('is lost with its folder', async () => {
    const folder = await temporaryFolder();
    const fence = await acquire(folder);
    await rm(join(folder, 'fence'), { recursive: true });
    await expect(fence.verify()).rejects.toMatchObject({ code: 'FENCED', message: expect.stringContaining('removed') as string });
  });

  it('refuses writes after it was given back', async () => {
    const fence = await acquire(await temporaryFolder());
    await fence.release();
    await expect(fence.verify()).rejects.toMatchObject({ code: 'FENCED' });
  });

  describe('judges a holder that it cannot ask', () => {
    it('by its process id and start: another process with the same id is not it', async () => {
      const folder = await temporaryFolder();
      const self = await thisProcess();
      await claimOf(folder, { ...self, startTicks: (self.startTicks ?? 0) - 1 }, { ttlMs: 3_600_000 });
      expect((await acquire(folder)).epoch).toBe(2n);
    });

    it('by its absence from the process table', async () => {
      const folder = await temporaryFolder();
      await claimOf(folder, { ...(await thisProcess()), pid: spawnSync(process.execPath, ['--version']).pid, startTicks: 1 }, { ttlMs: 3_600_000 });
      expect((await acquire(folder)).epoch).toBe(2n);
    });

    it.each([
      ['another machine', { host: 'elsewhere', boot: 'other' }],
      ['another container of this machine, where the same process id means another process', { pidNamespace: 'pid:[1]', pid: 1 }],
    ])('by its silence when it is of %s', async (_, where) => {
      const folder = await temporaryFolder();
      const holder = { ...(await thisProcess()), ...where };
      await claimOf(folder, holder);
      let beat = 7;
      const beating = setInterval(() => void writeFile(join(folder, 'fence', 'beat-1'), String(++beat)), TTL_MS / 10);
      onTestFinished(() => clearInterval(beating));
      await expect(Fence.acquire(folder)).rejects.toMatchObject({ code: 'RUN_CONFLICT', details: { host: holder.host, pid: holder.pid } });
      clearInterval(beating);
      expect((await acquire(folder)).epoch).toBe(2n);
    });

    it('and one whose claim a crash cut off, or whose beat never came, by silence too', async () => {
      const folder = await temporaryFolder();
      await claimOf(folder, await thisProcess());
      await writeFile(join(folder, 'fence', 'epoch-1'), '{"ho');
      await rm(join(folder, 'fence', 'beat-1'));
      expect((await acquire(folder)).epoch).toBe(2n);
    });

    it('and one that has given the folder back not at all', async () => {
      const folder = await temporaryFolder();
      await claimOf(folder, { host: 'elsewhere', pid: 1, boot: 'other' }, { beat: 'released', ttlMs: 3_600_000 });
      expect((await acquire(folder)).epoch).toBe(2n);
    });
  });

  it('sweeps drafts of claims that came to nothing', async () => {
    const folder = await temporaryFolder();
    await claimOf(folder, { host: 'elsewhere', pid: 1 }, { beat: 'released', epoch: 41 });
    await writeFile(join(folder, 'fence', 'claim-left'), '');
    expect((await acquire(folder)).epoch).toBe(42n);
    expect((await readdir(join(folder, 'fence'))).sort()).toEqual(['beat-42', 'cluster', 'epoch-42', 'newest']);
  });

  it('makes the identity of the data folder anew when a power cut has emptied its file', async () => {
    const folder = await temporaryFolder();
    await (await acquire(folder)).release();
    await writeFile(join(folder, 'fence', 'cluster'), '');
    expect((await acquire(folder)).clusterId).toMatch(/^[0-9a-f]{32}$/);
  });

  it('says what is wrong with a folder that cannot be made, and removes one that was made for nothing', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), '');
    await expect(Fence.acquire(join(folder, 'file', 'data'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', remedy: 'Choose another --data-dir' });
    await (await acquire(join(folder, 'data'))).release();
    expect(await readdir(folder)).toEqual(['file']);
    const used = await acquire(join(folder, 'used'));
    await writeFile(join(folder, 'used', 'spec.yaml'), '');
    await used.release();
    expect((await readdir(join(folder, 'used'))).sort()).toEqual(['fence', 'spec.yaml']);
  });
});

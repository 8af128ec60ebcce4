import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { chmod, copyFile, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Dd2Error } from '@dd2/core';
import { create, GetClusterResponseSchema, timestampFromDate, type GetClusterResponse } from '@dd2/proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeCertificates } from '../certs/make-certificates.js';
import { isInstalled } from '../chaos/redis-process.js';
import { httpOptions } from '../page.js';
import { plain } from '../render/terminal.js';
import { builtFolders, checkBuild } from './build.js';
import { checkCertificates, readableByOthers } from './certificates.js';
import { checkClock, compareClocks } from './clock.js';
import { checkCoordinator } from './coordinator.js';
import { checkDisk, existingFolder, measureDisk } from './disk.js';
import { renderFinding, runChecks, summarize, type Finding } from './finding.js';
import { checkNode } from './node.js';
import { withOwnCoordinator } from './own-coordinator.js';
import { checkPlatform } from './platform.js';
import { checkPort, listeningInodes } from './ports.js';
import { checkProviders, type Probe } from './providers.js';
import { checkResources } from './resources.js';
import { checkSpec, providersOf, readSpec } from './spec.js';
import { checkEmbeddedStore, checkRedis } from './store.js';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dd2-doctor-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const statusesOf = (findings: readonly Finding[]): string[] => findings.map(({ status }) => status);

/** Whatever is not ok says what to do. */
function expectRemedies(findings: readonly Finding[]): void {
  for (const { status, remedy } of findings) expect(remedy === undefined || remedy === '').toBe(status === 'ok');
}

describe('findings', () => {
  it('go on after a check that fails itself', async () => {
    const findings: Finding[] = [];
    const ok: Finding = { check: 'b', status: 'ok', message: 'fine' };
    for await (const finding of runChecks({ a: async () => Promise.reject(new Error('no such device')), b: async () => [ok] })) findings.push(finding);
    expect(findings).toEqual([expect.objectContaining({ check: 'a', status: 'problem', message: 'the check itself failed: no such device' }), ok]);
    expect(summarize(findings)).toBe('1 ok, 0 warnings, 1 problem');
    expectRemedies(findings);
  });

  it('are a line, and a line with what to do', () => {
    expect(renderFinding({ check: 'disk', status: 'warning', message: 'full\u001b[2J', remedy: 'Make room' }, plain).split('\n')).toEqual(['warning  disk           full?[2J', '                        -> Make room']);
  });
});

describe('the machine', () => {
  it.each([
    ['20.19.0', 'ok'],
    ['22.1.0', 'ok'],
    ['20.18.3', 'problem'],
    ['18.20.0', 'problem'],
  ])('Node.js %s is %s', (version, status) => {
    expect(checkNode(version).status).toBe(status);
    expectRemedies([checkNode(version)]);
  });

  it.each([
    [{ platform: 'linux', arch: 'x64', glibc: '2.36' }, 'ok'],
    [{ platform: 'darwin', arch: 'arm64', glibc: undefined }, 'ok'],
    [{ platform: 'linux', arch: 'x64', glibc: undefined }, 'problem'],
    [{ platform: 'linux', arch: 'x64', glibc: '2.17' }, 'problem'],
    [{ platform: 'linux', arch: 'riscv64', glibc: '2.36' }, 'problem'],
  ])('%j is %s', (platform, status) => {
    expect(checkPlatform(platform).status).toBe(status);
    expectRemedies([checkPlatform(platform)]);
  });

  it('is what it is here', () => {
    expect([checkNode().status, checkPlatform().status]).toEqual(['ok', 'ok']);
  });

  it('has cores and memory, or is told so', () => {
    expect(statusesOf(checkResources({ cores: 8, memoryBytes: 16e9, freeBytes: 8e9 }))).toEqual(['ok', 'ok']);
    const poor = checkResources({ cores: 1, memoryBytes: 16e9, freeBytes: 0.2e9 });
    expect(statusesOf(poor)).toEqual(['warning', 'warning']);
    expectRemedies(poor);
    expect(checkResources()[0]?.details?.['cores']).toBeGreaterThan(0);
  });
});

describe('execution providers', () => {
  const working =
    (...names: string[]): Probe =>
    async (provider) => {
      if (!names.includes(provider)) throw new Dd2Error('PROVIDER_UNAVAILABLE', `The execution provider "${provider}" does not work on this machine: its driver ended the process (SIGABRT)`, { field: 'provider', remedy: 'Install a driver' });
    };

  it('must work where they are needed, and need not elsewhere', async () => {
    const of = async (options: Parameters<typeof checkProviders>[0]) => statusesOf(await checkProviders(options));
    expect(await of({ probe: working('cpu'), hasNvidia: false })).toEqual(['ok', 'ok', 'ok']);
    expect(await of({ probe: working('cpu'), hasNvidia: true })).toEqual(['ok', 'ok', 'warning']);
    expect(await of({ probe: working('cpu'), needed: ['webgpu'], hasNvidia: false })).toEqual(['ok', 'problem', 'ok']);
    expect(await of({ probe: working(), hasNvidia: false })).toEqual(['problem', 'ok', 'ok']);
    const [, webgpu] = await checkProviders({ probe: working('cpu'), needed: ['webgpu'] });
    expect(webgpu).toMatchObject({ message: 'it does not work: its driver ended the process (SIGABRT)', remedy: 'Install a driver' });
  });

  it('are tried apart from this process: the CPU computes here', async () => {
    const [cpu] = await checkProviders({ probe: async (provider) => (provider === 'cpu' ? (await import('@dd2/engine')).probeProvider({ provider, intraOpThreads: 1 }) : Promise.reject(new Error('not tried'))) });
    expect(cpu).toMatchObject({ check: 'cpu', status: 'ok', details: { works: true } });
  });
});

describe('the build', () => {
  it('needs the kernels, and misses the rest', async () => {
    const folders = { engine: path.join(folder, 'engine'), queue: path.join(folder, 'queue'), page: path.join(folder, 'page') };
    expect(checkBuild(folders)).toMatchObject({ status: 'problem', message: expect.stringMatching(/kernels.*template.*page/) as string });
    for (const one of Object.values(folders)) await mkdir(one);
    await writeFile(path.join(folders.engine, 'kernels.wasm'), '');
    expect(checkBuild(folders)).toMatchObject({ status: 'warning', message: expect.not.stringContaining('kernels') as string });
    await writeFile(path.join(folders.queue, 'template-0.5.16-3.tar.gz'), '');
    await writeFile(path.join(folders.page, 'index.html'), '');
    expect(checkBuild(folders).status).toBe('ok');
  });

  it('is looked for where the coordinator takes the page from', () => {
    expect(builtFolders().page).toBe(httpOptions({ http: true })?.pageFolder);
  });
});

describe('the disk', () => {
  const speed = { freeBytes: 50e9, writeBytesPerSecond: 500e6, syncMs: 1 };

  it.each([
    [{}, 'ok'],
    [{ freeBytes: 1e9 }, 'warning'],
    [{ freeBytes: 1e8 }, 'problem'],
    [{ writeBytesPerSecond: 5e6 }, 'warning'],
    [{ syncMs: 90 }, 'warning'],
  ])('with %j is %s', async (change, status) => {
    const finding = await checkDisk('.dd2', true, async () => ({ ...speed, ...change }));
    expect(finding.status).toBe(status);
    expectRemedies([finding]);
  });

  it('is measured, and left as it was', async () => {
    const dataDir = path.join(folder, 'not/there/yet');
    expect(existingFolder(dataDir)).toBe(folder);
    const { freeBytes, writeBytesPerSecond, syncMs } = await measureDisk(dataDir);
    for (const figure of [freeBytes, writeBytesPerSecond, syncMs]) expect(figure).toBeGreaterThan(0);
    expect(await readdir(folder)).toEqual([]);
  });

  it('that cannot be written is a problem', async () => {
    const file = path.join(folder, 'file');
    await writeFile(file, '');
    expect(await checkDisk(file, true)).toMatchObject({ status: 'problem', remedy: expect.stringContaining('--data-dir') as string });
  });

  it.each([
    ['EROFS', false, 'warning'],
    ['EACCES', false, 'warning'],
    ['EROFS', true, 'problem'],
    ['ENOSPC', false, 'problem'],
  ])('that refuses with %s, named: %s, is a %s', async (code, named, status) => {
    const finding = await checkDisk('.dd2', named, async () => Promise.reject(Object.assign(new Error(`${code}: refused`), { code })));
    expect(finding.status).toBe(status);
    expect(finding.message).toContain(code);
    expectRemedies([finding]);
  });
});

describe('the clock', () => {
  const clocks = (start: number, jumpMs: number) => {
    let moved = false;
    return { wall: () => start + (moved ? 200 + jumpMs : 0), monotonic: () => (moved ? 200 : 0), wait: async () => void (moved = true) };
  };
  const now = Date.UTC(2026, 10, 23);

  it.each([
    [now, 0, 'ok'],
    [now, 60, 'ok'],
    [now, 3_600_000, 'warning'],
    [now, -5_000, 'warning'],
    [0, 0, 'problem'],
    [Date.UTC(2200, 0, 1), 0, 'problem'],
  ])('at %d, set by %d ms, is %s', async (start, jumpMs, status) => {
    const finding = await checkClock(clocks(start, jumpMs));
    expect(finding.status).toBe(status);
    expectRemedies([finding]);
  });

  it('is compared with the coordinator\'s, less the time that the answer took', () => {
    expect(compareClocks(1_000, 1_050, 1_100)).toMatchObject({ status: 'ok', details: { differenceMs: 0 } });
    expect(compareClocks(1_000, 61_000, 1_100).status).toBe('warning');
    // An answer that took ten seconds says nothing about five.
    expect(compareClocks(0, 10_000, 10_000).status).toBe('ok');
  });
});

describe('the queue store', () => {
  const redis = { version: '7.0.15', maxmemoryPolicy: 'noeviction', appendOnly: true, snapshots: false, role: 'master', usedMemoryBytes: 1e6, milliseconds: 0.4 };
  const url = 'redis://user:secret@localhost:6379';

  it('opens here', async () => {
    expect(await checkEmbeddedStore()).toMatchObject({ status: 'ok', details: { kind: 'embedded' } });
    expect(await checkEmbeddedStore(async () => Promise.reject(new Error('out of memory')))).toMatchObject({ status: 'problem', message: expect.stringContaining('out of memory') as string });
  });

  it.each([
    [{}, ['ok']],
    [{ maxmemoryPolicy: 'allkeys-lru' }, ['problem']],
    [{ version: '5.0.7', appendOnly: false }, ['warning', 'warning']],
    [{ role: 'slave' }, ['problem']],
    [{ milliseconds: 400 }, ['warning']],
  ])('on Redis with %j is %j', async (change, statuses) => {
    const findings = await checkRedis({ url }, async () => ({ ...redis, ...change }));
    expect(statusesOf(findings)).toEqual(statuses);
    expectRemedies(findings);
    expect(JSON.stringify(findings)).not.toContain('secret');
  });

  it('on Redis that does not answer, or is none, is a problem; its password stays unsaid', async () => {
    const away = await checkRedis({ url: 'redis://:secret@127.0.0.1:1' });
    expect(away).toMatchObject([{ status: 'problem', message: expect.stringMatching(/127\.0\.0\.1:1 does not answer: .*ECONNREFUSED/) as string }]);
    const none = await checkRedis({ url: 'http://user:secret@localhost' });
    expect(statusesOf(none)).toEqual(['problem']);
    const file = await checkRedis({ url: 'redis://127.0.0.1:1', passwordFile: '/no/such/file' });
    expect(file).toMatchObject([{ status: 'problem', message: expect.stringMatching(/^the password of Redis cannot be read/) as string }]);
    expectRemedies(file);
    expect(JSON.stringify([away, none])).not.toContain('secret');
  });

  it.skipIf(!isInstalled('redis-server'))('is looked at on a real Redis', async () => {
    const { spawnRedis } = await import('../chaos/redis-process.js');
    const probe = createServer();
    probe.listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as AddressInfo;
    probe.close();
    await once(probe, 'close');
    await using log = await open(path.join(folder, 'redis.log'), 'a');
    const child = spawnRedis(port, folder, log.fd);
    try {
      let findings = await checkRedis({ url: `redis://127.0.0.1:${port}` });
      for (let tries = 0; tries < 100 && findings[0]?.message.includes('does not answer') === true; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        findings = await checkRedis({ url: `redis://127.0.0.1:${port}` });
      }
      expect(findings).toEqual([expect.objectContaining({ status: 'ok', message: expect.stringMatching(/^Redis \d+\.\d+\.\d+ at 127\.0\.0\.1:\d+, noeviction, append-only file/) as string })]);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });
});

describe('certificates', () => {
  const DAY_MS = 86_400_000;

  it('are valid for a while, then expire soon, then are expired', async () => {
    const { expires } = await makeCertificates({ folder, hosts: [], force: true, renew: false });
    expect(new Set(statusesOf(checkCertificates(folder)))).toEqual(new Set(['ok']));
    const soon = checkCertificates(folder, expires.getTime() - 5 * DAY_MS);
    expect(statusesOf(soon)).toContain('warning');
    expect(soon.map(({ message }) => message).join()).toMatch(/server\.crt expires in [45] days/);
    const late = checkCertificates(folder, expires.getTime() + DAY_MS);
    expect(statusesOf(late)).toContain('problem');
    const early = checkCertificates(folder, Date.UTC(2000, 0, 1));
    expect(new Set(statusesOf(early))).toEqual(new Set(['problem']));
    for (const findings of [soon, late, early]) expectRemedies(findings);
  });

  it('of another authority, without a key, or with one that others may read, are found', async () => {
    await makeCertificates({ folder, hosts: [], force: true, renew: false });
    const other = path.join(folder, 'other');
    await makeCertificates({ folder: other, hosts: [], force: true, renew: false });
    await copyFile(path.join(other, 'client.crt'), path.join(folder, 'client.crt'));
    await chmod(path.join(folder, 'server.key'), 0o644);
    await rm(path.join(folder, 'client.key'));
    const findings = checkCertificates(folder).filter(({ status }) => status !== 'ok');
    expect(findings.map(({ status, message }) => `${status}: ${message}`)).toEqual([
      'warning: server.key can be read by others on this machine',
      'problem: client.crt is not signed by ca.crt of the same folder',
      'problem: client.key is missing',
    ]);
    expectRemedies(findings);
  });

  it('have keys that a pod reads by its group', () => {
    const [root, self] = [0, 10_001];
    expect(readableByOthers({ mode: 0o100440, uid: root }, self)).toBe(false);
    expect(readableByOthers({ mode: 0o100444, uid: root }, self)).toBe(true);
    expect(readableByOthers({ mode: 0o100440, uid: self }, self)).toBe(true);
    expect(readableByOthers({ mode: 0o100440, uid: self }, root)).toBe(true);
    expect(readableByOthers({ mode: 0o100600, uid: self }, self)).toBe(false);
    expect(readableByOthers({ mode: 0o100666, uid: self }, undefined)).toBe(false);
  });

  it('that are not there, or are none, are a problem', async () => {
    expect(statusesOf(checkCertificates(path.join(folder, 'none')))).toEqual(['problem']);
    expect(statusesOf(checkCertificates(folder))).toEqual(['problem']);
    await writeFile(path.join(folder, 'ca.crt'), 'no certificate');
    expect(statusesOf(checkCertificates(folder))).toEqual(['problem']);
  });
});

describe('a coordinator', () => {
  const options = { server: '127.0.0.1:7070' };
  const answer = (values: Partial<GetClusterResponse>) => async () => ({ before: 0, cluster: { ...create(GetClusterResponseSchema, { version: '0.1.0', epoch: 3n, queueStore: 'redis', queueAvailable: true, now: timestampFromDate(new Date(50)) }), ...values }, after: 100 });
  const failure = (code: 'UNAVAILABLE' | 'UNAUTHENTICATED', field?: string) => async () => Promise.reject(new Dd2Error(code, 'no', { remedy: 'Do this', ...(field === undefined ? {} : { field }) }));

  it('answers in the same version, with its queues', async () => {
    expect(statusesOf(await checkCoordinator(options, true, answer({}), '0.1.0'))).toEqual(['ok', 'ok']);
    expect(statusesOf(await checkCoordinator(options, true, answer({}), '0.2.0'))).toEqual(['warning', 'ok']);
    const findings = await checkCoordinator(options, true, answer({ queueAvailable: false }), '0.1.0');
    expect(statusesOf(findings)).toEqual(['ok', 'problem', 'ok']);
    expectRemedies(findings);
  });

  it('need not be there unless it was named; whatever else it says counts', async () => {
    expect(statusesOf(await checkCoordinator(options, false, failure('UNAVAILABLE')))).toEqual(['ok']);
    expect(statusesOf(await checkCoordinator(options, true, failure('UNAVAILABLE')))).toEqual(['problem']);
    expect(statusesOf(await checkCoordinator(options, false, failure('UNAUTHENTICATED')))).toEqual(['problem']);
    expect(statusesOf(await checkCoordinator(options, false, failure('UNAVAILABLE', 'tls')))).toEqual(['problem']);
    expectRemedies(await checkCoordinator(options, true, failure('UNAUTHENTICATED')));
  });
});

describe('the coordinator of this container', () => {
  const environment = { DD2_DATA_DIR: '/data', DD2_API_TOKEN_FILE: '/run/dd2/tokens/api' };

  it('is asked with its own token, which goes to no other', () => {
    expect(withOwnCoordinator({ server: '127.0.0.1:7070' }, environment)).toEqual({ server: '127.0.0.1:7070', dataDir: '/data', tokenFile: '/run/dd2/tokens/api' });
    for (const server of ['node-1:7070', 'https://127.0.0.1']) expect(withOwnCoordinator({ server }, environment)).toEqual({ server });
  });

  it('gives way to what is named', () => {
    const named = { server: '127.0.0.1:7070', dataDir: 'mine', tokenFile: 'token' };
    expect(withOwnCoordinator(named, environment)).toEqual(named);
    expect(withOwnCoordinator({ server: 'localhost:7070' }, { DD2_DATA_DIR: '', DD2_API_TOKEN_FILE: '' })).toEqual({ server: 'localhost:7070' });
  });
});

describe('ports', () => {
  const use = { port: 7070, purpose: 'a coordinator', option: '--port' };

  it('are free, of dd2, or of somebody else', async () => {
    expect((await checkPort(use, async () => undefined)).status).toBe('ok');
    expect((await checkPort(use, async () => 'a dd2 process (4711)')).status).toBe('ok');
    const taken = await checkPort(use, async () => 'process 4711 (nginx)');
    expect(taken).toMatchObject({ status: 'warning', message: 'taken by process 4711 (nginx): a coordinator cannot listen there' });
    expectRemedies([taken]);
  });

  it('are really tried, and who listens is found', async () => {
    const server: Server = createServer((_request, response) => response.end('hello'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const finding = await checkPort({ ...use, port });
      expect(finding).toMatchObject({ status: 'warning', details: { port, free: false } });
      if (process.platform === 'linux') expect(finding.message).toContain(`process ${process.pid} (`);
    } finally {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    }
    expect((await checkPort({ ...use, port })).details?.['free']).toBe(true);
  });

  it('are read from the table of the kernel', () => {
    const table = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:1B9E 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1\n   1: 0100007F:1B9E 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4343 1\n';
    expect(listeningInodes(table, 7_070)).toEqual(['4242']);
    expect(listeningInodes(table, 7_071)).toEqual([]);
  });
});

describe('a run spec', () => {
  const mnist = path.resolve(import.meta.dirname, '../../../../configs/mnist.yaml');

  it('would run here, with its assets', async () => {
    expect(statusesOf(await checkSpec(mnist, [], 8))).toEqual(['ok', 'ok']);
    expect(providersOf(readSpec(mnist, ['execution.provider=cuda']))).toEqual(['cuda']);
    expect(providersOf(readSpec('none.yaml', []))).toEqual([]);
  });

  it('would not: problems by line, missing assets, more threads than cores', async () => {
    const broken = path.join(folder, 'broken.yaml');
    await writeFile(broken, (await readFile(mnist, 'utf8')).replace(/^seed: .*$/m, 'seed: -1').replace(/^name: .*$/m, 'name: "?"'));
    const problems = await checkSpec(broken, [], 8);
    expect(statusesOf(problems)).toEqual(['problem', 'problem']);
    expect(problems[0]?.message).toMatch(/broken\.yaml:\d+: /);
    const elsewhere = await checkSpec(mnist, ['assets=no-such-folder', 'execution.intraOpThreads=16'], 2);
    expect(elsewhere.map(({ check, status }) => `${check} ${status}`)).toEqual(['run spec ok', 'run spec warning', 'assets problem']);
    const missing = await checkSpec(path.join(folder, 'none.yaml'), [], 2);
    expect(statusesOf(missing)).toEqual(['problem']);
    for (const findings of [problems, elsewhere, missing]) expectRemedies(findings);
  });
});

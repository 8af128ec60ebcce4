import { copyFile, mkdir, readFile, stat } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { childrenOf, runDd2, startDd2, temporaryFolder, type Dd2Process } from './support/processes.js';

// Several processes one after the other, on machines that do other things as well.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let dataDir = '';
let certs = '';
const started: Dd2Process[] = [];

beforeEach(async () => {
  folder = await temporaryFolder();
  dataDir = join(folder.path, 'data');
  certs = join(folder.path, 'certs');
});
afterEach(async () => {
  for (const process of started) process.child.kill('SIGTERM');
  for (const process of started.splice(0)) await process.exit;
  await folder.dispose();
});

function start(...args: string[]): Dd2Process {
  const process = startDd2(args);
  started.push(process);
  return process;
}

/** A coordinator and the port that it has. */
async function coordinator(...args: string[]): Promise<{ readonly port: string; readonly process: Dd2Process }> {
  const process = start('coordinator', '--data-dir', dataDir, '--port', '0', ...args);
  const [, port = ''] = await process.until(/coordinator at \S+:(\d+)/);
  return { port, process };
}

async function fails(...args: string[]): Promise<string> {
  const { code, output } = await runDd2(args);
  // 2: what was asked for makes no sense, 4: not let in, 5: nobody answers.
  const exitCodes: Readonly<Record<string, number>> = { INVALID_ARGUMENT: 2, UNAUTHENTICATED: 4, UNAVAILABLE: 5 };
  expect(code, output).toBe(exitCodes[/error (\w+):/.exec(output)?.[1] ?? '']);
  return output;
}

describe('a coordinator on this machine', () => {
  it('lets in whoever reads its data folder, and nobody else', async () => {
    const { port, process } = await coordinator();
    const server = ['--server', `127.0.0.1:${port}`];
    expect((await stat(join(dataDir, 'tokens/join'))).mode & 0o777).toBe(0o600);
    expect((await runDd2(['run', 'list', ...server, '--data-dir', dataDir])).code).toBe(0);
    expect(await fails('run', 'list', ...server, '--data-dir', folder.path)).toMatch(/^error UNAUTHENTICATED: .+API token.+--data-dir.+--token-file\n$/);
    expect(await fails('run', 'list', ...server, '--token-file', join(dataDir, 'tokens/join'))).toMatch(/^error UNAUTHENTICATED: this is the join token.+\n$/);
    // A worker says so and ends: dialling again would not help.
    expect(await fails('worker', '--coordinator', `127.0.0.1:${port}`, '--data-dir', folder.path)).toMatch(/error UNAUTHENTICATED: .+join token/);
    expect(await fails('worker', '--coordinator', `127.0.0.1:${port}`, '--token-file', join(dataDir, 'tokens/api'))).toMatch(/error UNAUTHENTICATED: this is the API token/);
    start('worker', '--coordinator', `127.0.0.1:${port}`, '--data-dir', dataDir);
    await process.until(/worker joined/);
  });

  it('may be started after its workers', async () => {
    const early = start('worker', '--coordinator', '127.0.0.1:47071', '--data-dir', dataDir);
    await early.until(/dialling again/);
    const process = start('coordinator', '--data-dir', dataDir, '--port', '47071');
    await process.until(/worker joined/);
  });

  it('keeps its tokens out of command lines, environments and logs', async () => {
    const up = start('up', '--workers', '1', '--data-dir', dataDir, '--port', '0', '--verbose');
    await up.until(/worker joined/);
    const tokens = (await Promise.all(['join', 'api'].map((kind) => readFile(join(dataDir, 'tokens', kind), 'utf8')))).map((text) => text.trim());
    const [worker = 0] = await childrenOf(up.child.pid ?? 0);
    const seen = (await Promise.all(['cmdline', 'environ'].map((what) => readFile(`/proc/${worker}/${what}`, 'utf8')))).join(' ') + up.output();
    expect(seen).toContain('--data-dir');
    for (const token of tokens) expect(seen).not.toContain(token);
  });
});

describe('a coordinator on a network', () => {
  const [address] = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.filter(({ family, internal }) => family === 'IPv4' && !internal));

  it('is not there without certificates, unless told to', async () => {
    expect(await fails('coordinator', '--data-dir', dataDir, '--host', '0.0.0.0', '--port', '0')).toMatch(/^error INVALID_ARGUMENT: .+0\.0\.0\.0.+--certs.+--insecure\n$/);
    expect(await fails('up', '--data-dir', dataDir, '--host', '0.0.0.0', '--port', '0')).toMatch(/^error INVALID_ARGUMENT: /);
    await expect(stat(dataDir)).rejects.toThrow('ENOENT');
  });

  it.skipIf(!address)('neither sends nor takes tokens in plain text, unless told to', async () => {
    const { port, process } = await coordinator('--host', '0.0.0.0', '--insecure');
    const at = `${address?.address}:${port}`;
    expect(await fails('run', 'list', '--server', at, '--data-dir', dataDir)).toMatch(/^error INVALID_ARGUMENT: the token would cross the network/);
    expect(await fails('worker', '--coordinator', at, '--data-dir', dataDir)).toMatch(/error INVALID_ARGUMENT: the token would cross the network/);
    expect((await runDd2(['run', 'list', '--server', at, '--data-dir', dataDir, '--insecure'])).code).toBe(0);
    start('worker', '--coordinator', at, '--data-dir', dataDir, '--insecure');
    await process.until(/worker joined/);
  });

  it('lets in who has certificates and a token', async () => {
    expect((await runDd2(['certs', 'init', '--dir', certs])).output).toContain('certificates for localhost, 127.0.0.1');
    const { port, process } = await coordinator('--host', '0.0.0.0', '--certs', certs);
    const server = ['--server', `127.0.0.1:${port}`, '--data-dir', dataDir];
    expect((await runDd2(['run', 'list', ...server, '--certs', certs])).code).toBe(0);
    expect(await fails('run', 'list', ...server)).toMatch(/^error UNAVAILABLE: .+--certs/);
    expect(await fails('run', 'list', '--server', `127.0.0.1:${port}`, '--data-dir', folder.path, '--certs', certs)).toMatch(/^error UNAUTHENTICATED: /);
    const unnamed = join(folder.path, 'unnamed');
    await mkdir(unnamed);
    await copyFile(join(certs, 'ca.crt'), join(unnamed, 'ca.crt'));
    expect(await fails('run', 'list', ...server, '--certs', unnamed)).toMatch(/^error UNAVAILABLE: .+asks for a certificate/);
    start('worker', '--coordinator', `127.0.0.1:${port}`, '--data-dir', dataDir, '--certs', certs);
    await process.until(/worker joined/);
  });

  it('changes its certificates while its workers stay', async () => {
    await runDd2(['certs', 'init', '--dir', certs]);
    const up = start('up', '--workers', '1', '--host', '0.0.0.0', '--port', '0', '--data-dir', dataDir, '--certs', certs, '--verbose');
    const [, port = ''] = await up.until(/coordinator at \S+:(\d+)/);
    await up.until(/worker joined/);
    const list = ['run', 'list', '--server', `127.0.0.1:${port}`, '--data-dir', dataDir, '--certs', certs];
    await runDd2(['certs', 'init', '--dir', certs, '--force']);
    await up.until(/new certificates are in use/);
    expect((await runDd2(list)).code).toBe(0);
    expect(up.output()).not.toContain('worker left');
  });
});

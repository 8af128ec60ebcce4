import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { makeCertificates } from './certs/make-certificates.js';
import { clientCommand, connect, connectLocal, connectionOptions, type ConnectionOptions } from './connection.js';

const api = 'api-token-of-the-data-folder';
const joinToken = 'join-token-of-the-data-folder';
let dataDir = '';

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'dd2-connection-'));
  await mkdir(path.join(dataDir, 'tokens'));
  await writeFile(path.join(dataDir, 'tokens/api'), `${api}\n`);
  await writeFile(path.join(dataDir, 'tokens/join'), `${joinToken}\n`);
  for (const name of ['DD2_TOKEN', 'DD2_TOKEN_FILE', 'DD2_CERTS']) vi.stubEnv(name, undefined);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dataDir, { recursive: true, force: true });
});

const tokenOf = (kind: 'api' | 'join', address: string, options: ConnectionOptions): string | undefined => {
  const { token } = connect(kind, address, options);
  return typeof token === 'function' ? token() : token;
};

describe('the token', () => {
  it('is that of the data folder, for each kind of caller', () => {
    expect(tokenOf('api', '127.0.0.1:7070', { dataDir })).toBe(api);
    expect(tokenOf('join', '127.0.0.1:7070', { dataDir })).toBe(joinToken);
  });

  it('may be given by a file or the environment', async () => {
    const tokenFile = path.join(dataDir, 'given');
    await writeFile(tokenFile, 'token-of-the-file\n');
    vi.stubEnv('DD2_TOKEN', 'token-of-the-environment');
    expect(tokenOf('api', '127.0.0.1:7070', { dataDir, tokenFile })).toBe('token-of-the-file');
    expect(tokenOf('api', '127.0.0.1:7070', { dataDir })).toBe('token-of-the-environment');
    vi.stubEnv('DD2_TOKEN', '');
    expect(tokenOf('api', '127.0.0.1:7070', { dataDir })).toBe(api);
    expect(() => connect('api', '127.0.0.1:7070', { tokenFile: path.join(dataDir, 'none') })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field: '--token-file' }));
  });

  it('is looked for again: a worker may be started before its coordinator', async () => {
    const later = path.join(dataDir, 'later');
    const { token } = connect('join', '127.0.0.1:7070', { dataDir: later });
    const local = connectLocal('join', later);
    expect([token, local.token].map((find) => typeof find === 'function' && find())).toEqual([undefined, undefined]);
    await mkdir(path.join(later, 'tokens'), { recursive: true });
    await writeFile(path.join(later, 'tokens/join'), joinToken);
    expect([token, local.token].map((find) => typeof find === 'function' && find())).toEqual([joinToken, joinToken]);
  });

  it('goes to another machine with TLS or when told to only', async () => {
    for (const address of ['10.0.0.5:7070', 'node-1:7070', '[fd00::1]:7070']) {
      expect(() => connect('api', address, { dataDir })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('plain text') as string }));
      expect(tokenOf('api', address, { dataDir, insecure: true })).toBe(api);
    }
    const certs = path.join(dataDir, 'certs');
    await makeCertificates({ folder: certs, hosts: [], force: false, renew: false });
    expect(tokenOf('api', 'node-1:7070', { dataDir, certs })).toBe(api);
  });

  it('of the coordinator here goes to no other machine unless its folder is named', async () => {
    await mkdir(path.join(dataDir, '.dd2/tokens'), { recursive: true });
    await writeFile(path.join(dataDir, '.dd2/tokens/api'), 'token-of-the-coordinator-here');
    const before = process.cwd();
    process.chdir(dataDir);
    try {
      for (const here of ['127.0.0.1:7070', 'localhost:7070', '[::1]:7070']) expect(tokenOf('api', here, {})).toBe('token-of-the-coordinator-here');
      // What is behind a port-forward is another one.
      for (const elsewhere of ['node-1:7070', '10.0.0.5:7070', 'https://127.0.0.1:7070', 'http://localhost:7070']) expect(tokenOf('api', elsewhere, { insecure: true })).toBeUndefined();
    } finally {
      process.chdir(before);
    }
  });

  it('goes to a URL with TLS, and with none to this machine only', () => {
    expect(tokenOf('api', 'https://dd2.example.org', { dataDir })).toBe(api);
    expect(tokenOf('api', 'http://127.0.0.1:7070', { dataDir })).toBe(api);
    expect(() => connect('api', 'http://dd2.example.org', { dataDir })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field: '--server', message: expect.stringContaining('plain text') as string }));
    expect(tokenOf('api', 'http://dd2.example.org', { dataDir, insecure: true })).toBe(api);
    expect(() => connect('api', 'http://127.0.0.1:7070', { dataDir, certs: dataDir })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field: '--server', message: expect.stringContaining('without TLS') as string }));
    expect(connect('api', 'https://127.0.0.1:7070', {}).tls).toBeDefined();
    expect(connect('api', 'http://127.0.0.1:7070', {}).tls).toBeUndefined();
  });

  it('of a local cluster does not come from the environment', () => {
    vi.stubEnv('DD2_TOKEN', 'token-of-another-coordinator');
    const { token } = connectLocal('api', dataDir);
    expect(typeof token === 'function' && token()).toBe(api);
  });
});

it('every option of a connection reaches the action', async () => {
  vi.stubEnv('DD2_CERTS', 'from-environment');
  const seen: unknown[] = [];
  const command = clientCommand('ask').action((options: unknown) => void seen.push(options));
  await new Command('dd2').addCommand(command).parseAsync(['ask', '--server', 'a:1', '--data-dir', 'd', '--token-file', 'f', '--insecure'], { from: 'user' });
  expect(seen).toEqual([{ server: 'a:1', dataDir: 'd', tokenFile: 'f', certs: 'from-environment', insecure: true }]);
  expect(connectionOptions().map((option) => option.attributeName())).toEqual(['dataDir', 'tokenFile', 'certs', 'insecure']);
});

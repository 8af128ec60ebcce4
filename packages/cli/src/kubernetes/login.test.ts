import { execFile, execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { createAuthority, issueCertificate } from '@dd2/proto/certificates';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { login, type Login, type LoginOptions } from './login.js';
import { renderByHand, renderLogin, summarize } from './login-text.js';

const scope = { namespace: 'dd2' };
const token = 'token-of-the-api-of-the-cluster';
let folder = '';
let out = '';

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dd2-login-'));
  out = path.join(folder, 'out');
  await mkdir(path.join(folder, 'bin'));
  vi.stubEnv('PATH', `${path.join(folder, 'bin')}:/usr/bin:/bin`);
  await installation();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** What the cluster has, from a new authority. */
async function installation(): Promise<void> {
  const to = new Date(Date.now() + 86_400_000);
  const authority = await createAuthority('dd2', { to });
  const { certificate, privateKey } = await issueCertificate(authority, { purpose: 'client', name: 'dd2 client', to });
  await secret('dd2-client-tls', { 'tls.crt': certificate, 'tls.key': privateKey, 'ca.crt': authority.certificate });
  await secret('dd2-api-token', { token });
  await kubectl('shift 3; if [ "$1" = secret ]; then cat "$here/$2.json"; fi');
}

async function secret(name: string, values: Record<string, string>): Promise<void> {
  const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  await writeFile(path.join(folder, 'bin', `${name}.json`), JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, data }));
}

/** A kubectl that notes how it is called. */
async function kubectl(script: string): Promise<void> {
  await writeFile(path.join(folder, 'bin/kubectl'), `#!/bin/sh\nhere=${path.join(folder, 'bin')}\nprintf '%s\\n' "$*" >> "$here/calls"\n${script}\n`);
  await chmod(path.join(folder, 'bin/kubectl'), 0o755);
}

const calls = async (): Promise<string[]> => (await readFile(path.join(folder, 'bin/calls'), 'utf8')).trim().split('\n');
const run = (options: Partial<LoginOptions> = {}): Promise<Login> => login({ ...scope, folder: out, force: false, ...options });

describe('login', () => {
  it('writes certificate and token for their owner only', async () => {
    const { folder: written, expires } = await run();
    expect(written).toBe(out);
    expect(expires.getTime()).toBeGreaterThan(Date.now());
    expect((await readdir(out)).sort()).toEqual(['ca.crt', 'client.crt', 'client.key', 'token']);
    expect(await readFile(path.join(out, 'token'), 'utf8')).toBe(token);
    const modes = await Promise.all(['.', 'ca.crt', 'client.crt', 'client.key', 'token'].map(async (name) => ((await stat(path.join(out, name))).mode & 0o777).toString(8)));
    expect(modes).toEqual(['700', '600', '600', '600', '600']);
    expect(await calls()).toEqual(['-n dd2 get secret dd2-client-tls -o json', '-n dd2 get secret dd2-api-token -o json']);
  });

  it('asks the context and the namespace that are named', async () => {
    await kubectl('shift 5; cat "$here/$2.json"');
    await run({ namespace: 'team-a', context: 'prod eu' });
    expect((await calls())[0]).toBe('--context prod eu -n team-a get secret dd2-client-tls -o json');
  });

  it('may be repeated, for what was renewed', async () => {
    await run();
    await chmod(out, 0o755);
    await secret('dd2-api-token', { token: 'another-token-of-the-cluster' });
    await run();
    expect(await readFile(path.join(out, 'token'), 'utf8')).toBe('another-token-of-the-cluster');
    expect((await stat(out)).mode & 0o777).toBe(0o700);
  });

  it('replaces nothing that is not its own', async () => {
    await run();
    const before = await readFile(path.join(out, 'ca.crt'), 'utf8');
    await installation();
    await expect(run()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: out, remedy: expect.stringContaining('--force') as string });
    expect(await readFile(path.join(out, 'ca.crt'), 'utf8')).toBe(before);
    await run({ force: true });
    expect(await readFile(path.join(out, 'ca.crt'), 'utf8')).not.toBe(before);
    await writeFile(path.join(out, 'ca.key'), 'mine');
    await expect(run()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('ca.key') as string });
    const file = path.join(folder, 'file');
    await writeFile(file, '');
    await expect(run({ folder: file })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: file });
  });

  it.each([
    ['Error from server (NotFound): secrets "dd2-client-tls" not found', 'ASSET_MISSING', 'logs dd2-coordinator-0 -c bootstrap'],
    ['Error from server (Forbidden): secrets "dd2-client-tls" is forbidden: User "me" cannot get resource "secrets"', 'UNAUTHENTICATED', 'Ask whoever runs the cluster'],
    ['error: You must be logged in to the server (Unauthorized)', 'UNAUTHENTICATED', 'Log in to the cluster'],
    ['The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?', 'UNAVAILABLE', 'kubectl get pods'],
    ['error: context "prod" does not exist', 'UNAVAILABLE', '--context'],
  ])('says what kubectl says: %s', async (said, code, remedy) => {
    await kubectl(`echo 'Warning: something else' >&2; echo '${said}' >&2; exit 1`);
    await expect(run()).rejects.toMatchObject({ code, message: expect.stringContaining(said) as string, remedy: expect.stringContaining(remedy) as string });
    await expect(readdir(out)).rejects.toThrow('ENOENT');
  });

  it('needs kubectl', async () => {
    await rm(path.join(folder, 'bin/kubectl'));
    vi.stubEnv('PATH', path.join(folder, 'bin'));
    await expect(run()).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE', remedy: expect.stringContaining('--print') as string });
  });

  it('takes nothing that is no Secret, and writes nothing that cannot be used', async () => {
    await kubectl('echo hello');
    await expect(run()).rejects.toMatchObject({ code: 'PROTOCOL' });
    await kubectl('head -c 8000000 /dev/zero');
    await expect(run()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await installation();
    await secret('dd2-api-token', { other: token });
    await expect(run()).rejects.toMatchObject({ code: 'ASSET_MISSING', message: expect.stringContaining('no key token') as string });
    await secret('dd2-api-token', { token: 'short' });
    await expect(run()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await installation();
    const other = await createAuthority('other', { to: new Date(Date.now() + 86_400_000) });
    const { certificate, privateKey } = await issueCertificate(other, { purpose: 'client', name: 'x', to: new Date(Date.now() + 86_400_000) });
    const { certificate: ca } = await createAuthority('dd2', { to: new Date(Date.now() + 86_400_000) });
    await secret('dd2-client-tls', { 'tls.crt': certificate, 'tls.key': privateKey, 'ca.crt': ca });
    await expect(run()).rejects.toMatchObject({ code: 'ASSET_CORRUPT', message: expect.stringContaining('not signed by the authority') as string });
    await expect(readdir(out)).rejects.toThrow('ENOENT');
  });
});

describe('what it says', () => {
  it('can be copied to a shell, whatever the folder is called', async () => {
    const strange = path.join(folder, "it's $HOME `here`");
    const summary = summarize({ namespace: 'dd2', context: 'prod eu' }, { folder: strange, expires: new Date('2030-01-02') });
    expect(summary).toMatchObject({
      server: 'https://127.0.0.1:7070',
      page: 'https://127.0.0.1:7080',
      portForward: ['kubectl', '--context', 'prod eu', '-n', 'dd2', 'port-forward', 'service/dd2-coordinator', '7070', '7080'],
      expires: '2030-01-02T00:00:00.000Z',
    });
    const text = renderLogin(summary);
    expect(text).toContain("kubectl --context 'prod eu' -n dd2 port-forward service/dd2-coordinator 7070 7080");
    const exports = text.split('\n').filter((line) => line.includes('export '));
    const shown = execFileSync('sh', ['-c', `${exports.join('\n')}\nprintf '%s|' "$DD2_SERVER" "$DD2_CERTS" "$DD2_TOKEN_FILE"`]).toString();
    expect(shown).toBe(`https://127.0.0.1:7070|${strange}|${strange}/token|`);
  });

  it('has no port-forward where the coordinator can be dialled', () => {
    const summary = summarize(scope, { folder: '/x', expires: new Date() }, 'https://dd2.example.org');
    expect(summary).toMatchObject({ server: 'https://dd2.example.org', page: 'https://dd2.example.org:7080', portForward: null });
    expect(renderLogin(summary)).not.toContain('port-forward');
    expect(summarize(scope, { folder: '/x', expires: new Date() }, 'https://[fd00::1]').page).toBe('https://[fd00::1]:7080');
  });

  it('can be done by hand, with the same result', async () => {
    await run();
    // As kubectl does it with this template.
    await kubectl('shift 2; key=$(printf %s "$5" | sed \'s/.*"\\(.*\\)".*/\\1/\'); node -e \'process.stdout.write(Buffer.from(JSON.parse(require("fs").readFileSync(process.argv[1])).data[process.argv[2]], "base64"))\' "$here/$3.json" "$key"');
    const byHand = path.join(folder, "by hand's");
    await promisify(execFile)('sh', ['-ec', renderByHand(scope, byHand)], { env: { ...process.env, PATH: `${path.join(folder, 'bin')}:${path.dirname(process.execPath)}:/usr/bin:/bin` } });
    for (const name of await readdir(out)) expect(await readFile(path.join(byHand, name), 'utf8')).toBe(await readFile(path.join(out, name), 'utf8'));
    expect((await stat(path.join(byHand, 'token'))).mode & 0o777).toBe(0o600);
  });
});

import { X509Certificate } from 'node:crypto';
import { acceptsPassword } from '@dd2/coordinator/redis-users';
import { createAuthority, hostsOf, issueCertificate } from '@dd2/proto/certificates';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bootstrap, type BootstrapOptions } from './bootstrap.js';
import { managedSecrets } from './secrets.js';
import { createSecretsApi, type SecretsApi } from './secrets-api.js';
import { FakeApi } from './testing/fake-api.js';

const DAY_MS = 86_400_000;
const leaves = managedSecrets.filter(({ certificate }) => certificate !== undefined).map(({ name }) => name);

let server: FakeApi;
let log: { level: 'info' | 'warn'; text: string }[] = [];
beforeEach(async () => {
  server = await FakeApi.start();
  log = [];
});
afterEach(() => server.stop());

const logger = {
  info: (fields: unknown, text?: string) => void log.push({ level: 'info', text: `${JSON.stringify(fields)} ${text}` }),
  warn: (fields: unknown, text?: string) => void log.push({ level: 'warn', text: `${JSON.stringify(fields)} ${text}` }),
} as BootstrapOptions['logger'];
const api = (): SecretsApi => createSecretsApi({ access: server.access, namespace: 'team-a', firstWaitMs: 5 });
const run = (options: Partial<BootstrapOptions> = {}): Promise<void> => bootstrap({ api: api(), namespace: 'team-a', hosts: [], without: [], logger, ...options });
const actions = (action: string): string[] => log.flatMap(({ text }) => (text.includes(`"action":"${action}"`) ? (/"secret":"([\w-]+)"/.exec(text)?.[1] ?? []) : []));
const certificate = (name: string, key = 'tls.crt'): X509Certificate => new X509Certificate(server.values(name)[key] ?? '');
const signedByStored = (): boolean[] => leaves.map((name) => certificate(name).verify(certificate('dd2-ca', 'ca.crt').publicKey) && server.values(name)['ca.crt'] === server.values('dd2-ca')['ca.crt']);

describe('an empty namespace', () => {
  it('gets every Secret of the table, with its type, keys and labels', async () => {
    await run();
    expect([...server.secrets.keys()]).toEqual(managedSecrets.map(({ name }) => name));
    for (const { name, type, keys } of managedSecrets) {
      expect(server.secrets.get(name)).toMatchObject({ type, metadata: { labels: { 'app.kubernetes.io/managed-by': 'dd2' } } });
      expect(Object.keys(server.values(name)).sort()).toEqual([...keys].sort());
    }
    expect(actions('created')).toEqual(managedSecrets.map(({ name }) => name));
    expect(log.at(-1)?.text).toContain('dd2 kubernetes login --namespace team-a');
    expect(server.count('other')).toBe(0);
    expect(new Set(['dd2-join-token', 'dd2-api-token', 'dd2-metrics-token'].map((name) => server.values(name)['token'])).size).toBe(3);
  });

  it('gets certificates for its own names, signed by its authority, for their purposes', async () => {
    await run({ hosts: ['DD2.example.org', '10.0.0.5', 'fd00:0:0:0:0:0:0:1'] });
    expect(hostsOf(server.values('dd2-coordinator-tls')['tls.crt'] ?? '')).toEqual(
      expect.arrayContaining(['dd2-coordinator', 'dd2-coordinator.team-a', 'dd2-coordinator.team-a.svc', 'dd2-coordinator.team-a.svc.cluster.local', 'dd2-coordinator-0.dd2-coordinator-headless.team-a.svc', 'dd2-coordinator-0.dd2-coordinator-headless.team-a.svc.cluster.local', 'localhost', '127.0.0.1', '::1', 'dd2.example.org', '10.0.0.5', 'fd00::1']),
    );
    expect(hostsOf(server.values('dd2-redis-tls')['tls.crt'] ?? '')).toEqual(expect.arrayContaining(['dd2-redis', 'dd2-redis.team-a.svc', 'dd2-redis-0.dd2-redis', 'dd2-redis-0.dd2-redis.team-a.svc.cluster.local', 'localhost', '127.0.0.1']));
    expect(hostsOf(server.values('dd2-redis-tls')['tls.crt'] ?? '')).not.toContain('dd2.example.org');
    expect(leaves.map((name) => hostsOf(server.values(name)['tls.crt'] ?? '').length > 0)).toEqual([true, true, false, false]);
    expect(leaves.map((name) => certificate(name).keyUsage)).toEqual([['1.3.6.1.5.5.7.3.1'], ['1.3.6.1.5.5.7.3.1'], ['1.3.6.1.5.5.7.3.2'], ['1.3.6.1.5.5.7.3.2']]);
    expect(signedByStored()).toEqual([true, true, true, true]);
  });

  it('gets no secret value in its log', async () => {
    await run();
    const text = log.map((line) => line.text).join('\n');
    for (const { name } of managedSecrets) for (const value of Object.values(server.values(name))) for (const line of value.trim().split('\n')) expect(text).not.toContain(line);
  });

  it('leaves out what comes from elsewhere', async () => {
    await run({ without: ['redis'] });
    expect([...server.secrets.keys()]).toEqual(managedSecrets.map(({ name }) => name).filter((name) => !name.startsWith('dd2-redis')));
    server.secrets.clear();
    await run({ without: ['certificates'] });
    expect([...server.secrets.keys()]).toEqual(['dd2-join-token', 'dd2-api-token', 'dd2-metrics-token', 'dd2-redis']);
  });

  it('gets users of Redis that belong to the password', async () => {
    await run();
    const { password = '', 'users.acl': users = '' } = server.values('dd2-redis');
    expect(users).toMatch(/^user default reset on #[\da-f]{64} ~dd2:\* .*\n$/);
    expect(users).not.toContain(password);
    expect(acceptsPassword(users, password)).toBe(true);
    expect(acceptsPassword(users, `${password}x`)).toBe(false);
  });
});

describe('what is there', () => {
  it('stays as it is', async () => {
    await run();
    server.put('dd2-api-token', { token: 'a-token-of-somebody-else' });
    const before = JSON.stringify([...server.secrets]);
    await run();
    expect(JSON.stringify([...server.secrets])).toBe(before);
    expect(actions('kept')).toEqual(managedSecrets.map(({ name }) => name));
    expect(server.count('update')).toBe(0);
  });

  it('is made again where one was deleted', async () => {
    await run();
    const before = server.values('dd2-join-token')['token'];
    server.secrets.delete('dd2-join-token');
    log = [];
    await run();
    expect(actions('created')).toEqual(['dd2-join-token']);
    expect(server.values('dd2-join-token')['token']).not.toBe(before);
  });

  it('is renewed by the same authority when it expires within 90 days, and not before', async () => {
    await run();
    const authority = server.values('dd2-ca');
    await run({ clock: () => Date.now() + (365 - 91) * DAY_MS });
    expect(actions('renewed')).toEqual([]);
    await run({ clock: () => Date.now() + (365 - 89) * DAY_MS });
    expect(actions('renewed')).toEqual(leaves);
    expect(server.values('dd2-ca')).toEqual(authority);
    expect(signedByStored()).toEqual([true, true, true, true]);
    expect(Date.parse(certificate('dd2-worker-tls').validTo) - Date.now()).toBeGreaterThan(630 * DAY_MS);
    expect(server.secrets.get('dd2-worker-tls')).toMatchObject({ type: 'kubernetes.io/tls', metadata: { uid: 'uid-dd2-worker-tls' } });
  });

  it('is renewed when a name is asked for that it lacks', async () => {
    await run();
    const before = server.values('dd2-redis-tls')['tls.crt'];
    await run({ hosts: ['dd2.example.org'] });
    expect(actions('renewed')).toEqual(['dd2-coordinator-tls']);
    expect(log.find(({ text }) => text.includes('renewed'))?.text).toContain('it lacks dd2.example.org');
    expect(server.values('dd2-redis-tls')['tls.crt']).toBe(before);
    log = [];
    await run({ hosts: [] });
    await run({ hosts: ['DD2.EXAMPLE.ORG'] });
    expect(actions('renewed')).toEqual([]);
  });

  it('is signed anew by a new authority when that of before was deleted', async () => {
    await run();
    const [before, token] = [server.values('dd2-ca')['ca.crt'], server.values('dd2-api-token')];
    server.secrets.delete('dd2-ca');
    log = [];
    await run();
    expect(actions('created')).toEqual(['dd2-ca']);
    expect(actions('renewed')).toEqual(leaves);
    expect(server.values('dd2-ca')['ca.crt']).not.toBe(before);
    expect(signedByStored()).toEqual([true, true, true, true]);
    expect(server.values('dd2-api-token')).toEqual(token);
  });

  it('may trust an earlier authority, too', async () => {
    await run();
    const earlier = await createAuthority('earlier', { to: new Date(Date.now() + DAY_MS) });
    const worker = server.values('dd2-worker-tls');
    server.put('dd2-worker-tls', { ...worker, 'ca.crt': `${earlier.certificate}${worker['ca.crt']}` });
    await run();
    expect(actions('renewed')).toEqual([]);
    server.put('dd2-worker-tls', { ...worker, 'ca.crt': earlier.certificate });
    await run();
    expect(actions('renewed')).toEqual(['dd2-worker-tls']);
  });

  it('is told about when the authority nears its end: certificates end with it', async () => {
    await run();
    expect(log.some(({ level }) => level === 'warn')).toBe(false);
    const clock = () => Date.now() + (3_650 - 100) * DAY_MS;
    await run({ clock });
    expect(log.filter(({ level }) => level === 'warn').map(({ text }) => text)).toEqual([expect.stringContaining('kubectl -n team-a delete secret dd2-ca')]);
    expect(certificate('dd2-worker-tls').validTo).toBe(certificate('dd2-ca', 'ca.crt').validTo);
    // A new one would end on the same day.
    log = [];
    await run({ clock: () => Date.now() + (3_650 - 10) * DAY_MS });
    expect(actions('renewed')).toEqual([]);
    await expect(run({ clock: () => Date.now() + 3_651 * DAY_MS })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'Secret dd2-ca, key ca.crt', message: expect.stringContaining('expired') as string });
  });
});

describe('a Secret that cannot be used', () => {
  const wrong: [what: string, name: string, change: (values: Record<string, string>) => Record<string, string> | Promise<Record<string, string>>, field: string][] = [
    ['an authority without its key', 'dd2-ca', ({ 'ca.key': _key, ...rest }) => rest, 'Secret dd2-ca, key ca.key'],
    ['an authority with the key of another', 'dd2-ca', async (values) => ({ ...values, 'ca.key': (await createAuthority('x', { to: new Date(Date.now() + DAY_MS) })).privateKey }), 'Secret dd2-ca, key ca.key'],
    ['an authority that must not sign', 'dd2-ca', async (values) => {
      const leaf = await issueCertificate({ certificate: values['ca.crt'] ?? '', privateKey: values['ca.key'] ?? '' }, { purpose: 'server', name: 'x', to: new Date(Date.now() + DAY_MS) });
      return { 'ca.crt': leaf.certificate, 'ca.key': leaf.privateKey };
    }, 'Secret dd2-ca, key ca.crt'],
    ['a certificate that is none', 'dd2-worker-tls', (values) => ({ ...values, 'tls.crt': 'hello' }), 'Secret dd2-worker-tls, key tls.crt'],
    ['a certificate without an authority', 'dd2-worker-tls', ({ 'ca.crt': _ca, ...rest }) => rest, 'Secret dd2-worker-tls, key ca.crt'],
    ['a private key that is none', 'dd2-client-tls', (values) => ({ ...values, 'tls.key': 'hello' }), 'Secret dd2-client-tls, key tls.key'],
    ['an empty token', 'dd2-join-token', () => ({ token: '\n' }), 'Secret dd2-join-token, key token'],
    ['a short token', 'dd2-api-token', () => ({ token: 'short' }), 'Secret dd2-api-token, key token'],
    ['no data at all', 'dd2-metrics-token', () => ({}), 'Secret dd2-metrics-token, key token'],
    ['users of another password', 'dd2-redis', (values) => ({ ...values, password: 'another-password-here' }), 'Secret dd2-redis, key users.acl'],
  ];

  it.each(wrong)('is named and not overwritten: %s', async (_what, name, change, field) => {
    await run();
    server.put(name, await change(server.values(name)));
    const before = JSON.stringify(server.secrets.get(name));
    await expect(run()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field, remedy: expect.stringContaining(`kubectl -n team-a delete secret ${name}`) as string });
    expect(JSON.stringify(server.secrets.get(name))).toBe(before);
  });
});

describe('two at the same time', () => {
  it('agree on every Secret', async () => {
    await Promise.all([run(), run(), run()]);
    expect(actions('created').sort()).toEqual(managedSecrets.map(({ name }) => name).sort());
    expect(signedByStored()).toEqual([true, true, true, true]);
    const before = JSON.stringify([...server.secrets]);
    await run();
    expect(JSON.stringify([...server.secrets])).toBe(before);
  });

  it('agree when one has made an authority and the other finds none in between', async () => {
    // Both find nothing; the second one is let go on only when the first one is done.
    let first = true;
    let done: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (done = resolve));
    server.fault = async ({ verb, name }) => {
      if (verb === 'create' && name === 'dd2-ca') {
        if (first) first = false;
        else await ended;
      }
      return undefined;
    };
    await Promise.all([run().then(done, done), run()]);
    expect(signedByStored()).toEqual([true, true, true, true]);
    expect(server.count('create', 'dd2-ca')).toBe(2);
  });

  it('agree while the authority is taken away in between', async () => {
    let taken = false;
    server.fault = ({ verb, name }) => {
      if (verb === 'create' && name === 'dd2-client-tls' && !taken) {
        taken = true;
        server.secrets.delete('dd2-ca');
      }
      return undefined;
    };
    await run();
    expect(taken).toBe(true);
    expect(signedByStored()).toEqual([true, true, true, true]);
  });

  it('agree on renewals: who comes late reads again', async () => {
    await run();
    const clock = () => Date.now() + 350 * DAY_MS;
    await Promise.all([run({ clock }), run({ clock })]);
    expect(actions('renewed').sort()).toEqual([...leaves].sort());
    expect(signedByStored()).toEqual([true, true, true, true]);
  });

  it('do not go on for ever', async () => {
    await run();
    server.fault = ({ verb }) => (verb === 'update' ? { status: 409, reason: 'Conflict', message: 'the object has been modified' } : undefined);
    await expect(run({ hosts: ['x'] })).rejects.toMatchObject({ code: 'RUN_CONFLICT', field: 'Secret dd2-coordinator-tls' });
  });
});

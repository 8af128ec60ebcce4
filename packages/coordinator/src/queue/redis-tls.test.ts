import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, issueCertificate, type CertifiedKey } from '@dd2/proto/certificates';
import { pino } from 'pino';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { inspectRedis } from './inspect-store.js';
import { QueueStore, type QueueStoreOptions } from './queue-store.js';
import { queueConformance } from './testing/conformance.js';
import { Recorder, recordingLogger, type Data } from './testing/recorder.js';
import { RedisServer, redisInstalled } from './testing/redis-server.js';

const silent = pino({ level: 'silent' });
const job = (id: string) => ({ id, data: { value: 1 }, priority: 0 });
const inAnHour = (): Date => new Date(Date.now() + 3_600_000);
let authority: CertifiedKey;

/** A server that speaks TLS only and asks for a password that it knows the SHA-256 of, and the files that a coordinator reads. */
class SecureRedis {
  private constructor(
    private readonly folder: string,
    readonly server: RedisServer,
  ) {}

  static async start(hosts = ['127.0.0.1'], password = 'first-secret'): Promise<SecureRedis> {
    const folder = await mkdtemp(join(tmpdir(), 'dd2-redis-'));
    const file = (name: string): string => join(folder, name);
    const { certificate, privateKey } = await issueCertificate(authority, { purpose: 'server', name: 'redis', hosts, to: inAnHour() });
    const stranger = await createAuthority('another authority', { to: inAnHour() });
    const texts = { 'tls.crt': certificate, 'tls.key': privateKey, 'ca.crt': authority.certificate, 'server-ca.crt': authority.certificate, 'other.crt': stranger.certificate, password: `${password}\n`, wrong: 'wrong-secret', 'users.acl': acl(password) };
    for (const [name, text] of Object.entries(texts)) await writeFile(file(name), text);
    const tls = { certFile: file('tls.crt'), keyFile: file('tls.key'), caFile: file('server-ca.crt') };
    return new SecureRedis(folder, await RedisServer.start({ tls, aclFile: file('users.acl'), password, folder }));
  }

  readonly file = (name: string): string => join(this.folder, name);

  async dispose(): Promise<void> {
    await this.server.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  get options(): Pick<QueueStoreOptions, 'redisUrl' | 'redisPasswordFile' | 'redisCaFile'> {
    return { redisUrl: `rediss://127.0.0.1:${this.server.port}`, redisPasswordFile: this.file('password'), redisCaFile: this.file('ca.crt') };
  }

  get address() {
    return { url: `rediss://127.0.0.1:${this.server.port}`, passwordFile: this.file('password'), caFile: this.file('ca.crt') };
  }
}

const acl = (password: string): string => `user default on #${createHash('sha256').update(password).digest('hex')} ~* &* +@all\n`;

const open = async (options: Partial<QueueStoreOptions>, logger = silent): Promise<QueueStore> => {
  const store = await QueueStore.open({ dataDir: 'unused', clusterId: randomUUID(), epoch: 1n, logger, ...options });
  onTestFinished(() => store.close(0));
  return store;
};

const start = async (...options: Parameters<typeof SecureRedis.start>): Promise<SecureRedis> => {
  const redis = await SecureRedis.start(...options);
  onTestFinished(() => redis.dispose());
  return redis;
};

const becomes = (store: QueueStore, state: 'up' | 'down'): Promise<void> => expect.poll(() => store.state, { timeout: 50_000 }).toBe(state);

describe.skipIf(!redisInstalled)('Redis with TLS and a password file', () => {
  beforeAll(async () => {
    authority = await createAuthority('authority of a cluster', { to: inAnHour() });
  });

  describe('as a queue store', () => {
    let redis: SecureRedis;
    beforeAll(async () => {
      redis = await SecureRedis.start();
      return () => redis.dispose();
    });
    queueConformance('redis with TLS', async () => {
      const clusterId = randomUUID();
      return (epoch) => QueueStore.open({ dataDir: 'unused', ...redis.options, clusterId, epoch, logger: silent });
    });

    it('tells about itself', async () => {
      expect(await inspectRedis(redis.address)).toMatchObject({ role: 'master', appendOnly: true });
      await expect(inspectRedis({ ...redis.address, caFile: redis.file('other.crt') })).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('--redis-ca-file') as string });
      await expect(inspectRedis({ ...redis.address, passwordFile: redis.file('wrong') })).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('--redis-password-file') as string });
    });

    it.each<[string, (redis: SecureRedis) => Partial<QueueStoreOptions>, RegExp]>([
      ['an authority that is not trusted', ({ file, options }) => ({ ...options, redisCaFile: file('other.crt') }), /not trusted here; name that one \(--redis-ca-file\)/],
      ['an authority that is trusted by nobody', ({ options: { redisUrl, redisPasswordFile } }) => ({ redisUrl, redisPasswordFile }), /not trusted here; name that one \(--redis-ca-file\)/],
      ['another password', ({ file, options }) => ({ ...options, redisPasswordFile: file('wrong') }), /refuses the password; correct it \(--redis-password-file\)/],
      ['no password', ({ options: { redisUrl, redisCaFile } }) => ({ redisUrl, redisCaFile }), /wants a password; name the file with it/],
      ['a password in the address that is wrong', ({ server, options: { redisCaFile } }) => ({ redisUrl: `rediss://:wrong-secret@127.0.0.1:${server.port}`, redisCaFile }), /refuses the password/],
      ['no TLS', ({ server, options: { redisPasswordFile } }) => ({ redisUrl: `redis://127.0.0.1:${server.port}`, redisPasswordFile }), /./],
    ])('is down with %s, and says so without a secret', async (_what, options, told) => {
      const { logger, lines } = recordingLogger();
      const store = await open(options(redis), logger);
      expect(store.state).toBe('down');
      const error: unknown = await store.queue<Data>('runs', new Recorder().processing()).ensure(job('a')).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(told) as string });
      const warnings = lines.filter((line) => line.includes('"level":40'));
      expect(warnings.length).toBeGreaterThan(0);
      expect(lines.join('') + String(error)).not.toMatch(/first-secret|wrong-secret/);
    });

    it('takes a password of the address as well, and one of a user', async () => {
      const { server, options } = redis;
      for (const redisUrl of [server.url, server.url.replace('//:', '//default:')]) expect((await open({ redisUrl, redisCaFile: options.redisCaFile })).state).toBe('up');
      expect((await open({ ...options, redisUrl: `rediss://default@127.0.0.1:${server.port}` })).state).toBe('up');
      expect((await open({ ...options, redisUrl: `rediss://nobody@127.0.0.1:${server.port}` })).state).toBe('down');
    });
  });

  it('must be the server that is dialled', async () => {
    const redis = await start(['dd2-redis.elsewhere']);
    const { logger, lines } = recordingLogger();
    expect((await open(redis.options, logger)).state).toBe('down');
    expect(lines.join('')).toContain('its certificate is for other hosts');
  });

  it('takes jobs again when it was restarted, with another password and another authority', async () => {
    const redis = await start();
    const store = await open(redis.options);
    const recorder = new Recorder();
    const queue = store.queue<Data>('runs', recorder.processing());
    await queue.ensure(job('before'));
    await recorder.until(() => recorder.came.length === 1);
    await redis.server.kill();
    await becomes(store, 'down');
    await redis.server.restart();
    await becomes(store, 'up');
    await queue.ensure(job('after'));
    await recorder.until(() => recorder.came.length === 2);

    await redis.server.kill();
    await becomes(store, 'down');
    const next = await createAuthority('the next authority', { to: inAnHour() });
    const { certificate, privateKey } = await issueCertificate(next, { purpose: 'server', name: 'redis', hosts: ['127.0.0.1'], to: inAnHour() });
    for (const [name, text] of Object.entries({ 'tls.crt': certificate, 'tls.key': privateKey, 'users.acl': acl('second-secret') })) await writeFile(redis.file(name), text);
    await writeFile(redis.file('ca.crt'), 'half a file'); // as it may be seen in the middle of a change
    const restarted = redis.server.restart('second-secret');
    for (const [name, text] of Object.entries({ 'ca.crt': next.certificate, password: 'second-secret' })) await writeFile(redis.file(name), text);
    await restarted;
    await becomes(store, 'up');
    await queue.ensure(job('much later'));
    await recorder.until(() => recorder.came.length === 3);
  });
});

describe('the files of an address', () => {
  it.each<[string, Partial<Record<'redisUrl' | 'redisPasswordFile' | 'redisCaFile', string>>, string]>([
    ['a password file that is not there', { redisPasswordFile: 'none' }, 'cannot be read'],
    ['a password file that is empty', { redisPasswordFile: 'empty' }, 'is empty'],
    ['a password of two lines', { redisPasswordFile: 'lines' }, 'more than one line'],
    ['a password file that is large', { redisPasswordFile: 'large' }, '512 bytes'],
    ['a folder in place of a password', { redisPasswordFile: '.' }, 'not a file'],
    ['a password twice', { redisUrl: 'rediss://:secret-word@127.0.0.1:1', redisPasswordFile: 'password' }, 'given twice'],
    ['authorities that are none', { redisCaFile: 'password' }, 'PEM'],
    ['authorities that are damaged', { redisCaFile: 'damaged' }, 'PEM'],
    ['authorities without TLS', { redisUrl: 'redis://127.0.0.1:1', redisCaFile: 'password' }, 'no TLS'],
  ])('are refused: %s', async (_what, given, problem) => {
    const folder = await temporaryFolder();
    const damaged = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    for (const [name, text] of Object.entries({ empty: '\n', lines: 'secret-word\nsecret-word\n', large: 'secret-word'.repeat(100), password: 'secret-word', damaged })) await writeFile(join(folder, name), text);
    const files = Object.fromEntries(Object.entries(given).map(([option, name]) => [option, option === 'redisUrl' ? name : join(folder, name)]));
    const error: unknown = await open({ redisUrl: 'rediss://127.0.0.1:1', ...files }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(problem) as string, field: expect.stringContaining(folder) as string });
    expect(String(error)).not.toContain('secret-word');
  });
});

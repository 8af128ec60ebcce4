import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';

const program = (process.env.PATH ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'redis-server'))
  .find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

/** whether this machine has a redis-server to test with */
export const redisInstalled = program !== undefined;

export interface RedisServerOptions {
  /** where it keeps its data when they are to survive a restart */
  readonly folder?: string;
  readonly password?: string;
  readonly maxmemoryPolicy?: string;
  /** it speaks TLS only, with these PEM files */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly caFile: string };
  /** who may log in; `password` is then that of this machine's calls */
  readonly aclFile?: string;
}

/** A redis-server on a port of its own, which can be killed, hung and started again. */
export class RedisServer {
  #child: ChildProcess | undefined;
  #password: string | undefined;

  private constructor(
    readonly port: number,
    private readonly options: RedisServerOptions,
  ) {
    this.#password = options.password;
  }

  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), options);
    await server.restart();
    return server;
  }

  get url(): string {
    return `${this.options.tls ? 'rediss' : 'redis'}://${this.#password === undefined ? '' : `:${this.#password}@`}127.0.0.1:${this.port}`;
  }

  /** Starts it on its port, with its data if it keeps any. Resolves when it answers. @param password another one than before, when its ACL file has changed */
  async restart(password = this.#password): Promise<void> {
    this.#password = password;
    const { folder, maxmemoryPolicy, tls, aclFile } = this.options;
    const settings = {
      bind: '127.0.0.1',
      save: '',
      ...(folder === undefined ? { appendonly: 'no' } : { dir: folder, appendonly: 'yes', appendfsync: 'always' }),
      ...(tls ? { port: 0, 'tls-port': this.port, 'tls-cert-file': tls.certFile, 'tls-key-file': tls.keyFile, 'tls-ca-cert-file': tls.caFile, 'tls-auth-clients': 'no' } : { port: this.port }),
      ...(aclFile !== undefined && { aclfile: aclFile }),
      ...(aclFile === undefined && password !== undefined && { requirepass: password }),
      ...(maxmemoryPolicy !== undefined && { 'maxmemory-policy': maxmemoryPolicy }),
    };
    this.#child = spawn(program ?? 'redis-server', Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]), { stdio: 'ignore' });
    const client = this.client();
    const ended = once(this.#child, 'exit').then(() => {
      throw new Error('redis-server has ended');
    });
    await Promise.race([client.ping(), ended]).finally(() => client.disconnect());
  }

  client(): Redis {
    const { tls } = this.options;
    const password = this.#password;
    const client = new Redis({
      host: '127.0.0.1',
      port: this.port,
      ...(password !== undefined && { password }),
      ...(tls && { tls: { rejectUnauthorized: false } }),
      maxRetriesPerRequest: null,
      retryStrategy: () => 50,
    });
    client.on('error', () => undefined);
    return client;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  await delay(0);
  return port;
}

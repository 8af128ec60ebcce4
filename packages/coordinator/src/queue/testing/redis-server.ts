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
}

/** A redis-server on a port of its own, which can be killed, hung and started again. */
export class RedisServer {
  #child: ChildProcess | undefined;

  private constructor(
    readonly port: number,
    private readonly options: RedisServerOptions,
  ) {}

  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), options);
    await server.restart();
    return server;
  }

  get url(): string {
    return `redis://${this.options.password === undefined ? '' : `:${this.options.password}@`}127.0.0.1:${this.port}`;
  }

  /** Starts it on its port, with its data if it keeps any. Resolves when it answers. */
  async restart(): Promise<void> {
    const { folder, password, maxmemoryPolicy } = this.options;
    const keeping = folder === undefined ? ['--appendonly', 'no'] : ['--dir', folder, '--appendonly', 'yes', '--appendfsync', 'always'];
    const settings = [...(password === undefined ? [] : ['--requirepass', password]), ...(maxmemoryPolicy === undefined ? [] : ['--maxmemory-policy', maxmemoryPolicy])];
    this.#child = spawn(program ?? 'redis-server', ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', ...keeping, ...settings], { stdio: 'ignore' });
    const client = this.client();
    await client.ping();
    client.disconnect();
  }

  client(): Redis {
    const client = new Redis(this.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
    client.on('error', () => undefined);
    return client;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child) return;
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

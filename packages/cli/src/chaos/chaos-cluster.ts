import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunSpec } from '@dd2/core';
import { createClient, fromStatus, RunService, type CallOptions } from '@dd2/proto';
import { childEnvironment } from '../cluster/child-environment.js';
import { dd2Program, workerArguments } from '../cluster/worker-supervisor.js';
import { connectLocal } from '../connection.js';
import type { RunClient } from '../run-client.js';
import type { Fault } from './fault-plan.js';
import { spawnRedis } from './redis-process.js';
import { SupervisedProcess } from './supervised-process.js';

export interface ChaosClusterOptions {
  /** holds the run folders, the logs, and what the store keeps */
  readonly dataDir: string;
  readonly workers: number;
  readonly execution: RunSpec['execution'];
  /** keeps the queues in a Redis server of the cluster's own instead of in the data folder */
  readonly redis: boolean;
  /** a process of the cluster ended although nobody had killed it */
  readonly onSurprise: (name: string, reason: string) => void;
}

const CALL_TIMEOUT_MS = 3_000;
const CALL_AGAIN_MS = 100;

/** A cluster of separate processes on this machine, each started again when it ends, as on real machines. */
export class ChaosCluster {
  private constructor(
    readonly dataDir: string,
    private readonly client: RunClient,
    private readonly coordinator: SupervisedProcess,
    private readonly workers: readonly SupervisedProcess[],
    private readonly store: { readonly process: SupervisedProcess; readonly folder: string } | undefined,
  ) {}

  static async start({ dataDir, workers, execution, redis, onSurprise }: ChaosClusterOptions): Promise<ChaosCluster> {
    const logs = path.join(dataDir, 'logs');
    const storeFolder = path.join(dataDir, 'redis');
    for (const folder of [logs, storeFolder]) await mkdir(folder, { recursive: true });
    const supervise = (name: string, start: (log: number) => ChildProcess): SupervisedProcess =>
      new SupervisedProcess({
        name,
        onSurprise,
        spawn: () => {
          const log = openSync(path.join(logs, `${name.replace(' ', '-')}.log`), 'a');
          try {
            return start(log);
          } finally {
            closeSync(log);
          }
        },
      });
    const [port, redisPort] = await freePorts();
    const address = `127.0.0.1:${port}`;
    const store = redis ? { process: supervise('store', (log) => spawnRedis(redisPort, storeFolder, log)), folder: storeFolder } : undefined;
    const environment = { ...childEnvironment(process.env), ...(redis && { DD2_REDIS_URL: `redis://127.0.0.1:${redisPort}` }) };
    const coordinator = supervise('coordinator', (log) => spawnDd2(['coordinator', '--data-dir', dataDir, '--port', String(port), '--supervised'], log, environment));
    const members = Array.from({ length: workers }, (_, index) =>
      supervise(`worker ${index}`, (log) => spawnDd2(workerArguments({ coordinator: address, dataDir, ...execution, verbose: false }, `worker-${index}`), log, environment)),
    );
    return new ChaosCluster(dataDir, createClient(RunService, address, connectLocal('api', dataDir)), coordinator, members, store);
  }

  /** Calls the coordinator until it answers: it may be dead, frozen or just starting. @throws what trying again cannot help */
  async ask<T>(call: (client: RunClient, options: CallOptions) => Promise<T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      try {
        return await call(this.client, { timeoutMs: CALL_TIMEOUT_MS });
      } catch (thrown) {
        const error = fromStatus(thrown);
        if (!error.retryable) throw error;
        await delay(CALL_AGAIN_MS);
      }
    }
  }

  /** Lets a fault happen. @returns it in words */
  async strike({ target, victim, kind, frozenMs, killedThen }: Fault): Promise<string> {
    const { store } = this;
    const process = target === 'coordinator' ? this.coordinator : target === 'store' ? store?.process : this.workers[Math.floor(victim * this.workers.length)];
    if (!process) return `no ${target}`;
    switch (kind) {
      case 'killed':
        await process.kill();
        return `${process.name} killed`;
      case 'emptied':
        await process.kill(() => rm(path.join(store?.folder ?? '', 'appendonlydir'), { recursive: true, force: true }));
        return `${process.name} killed, its files lost`;
      case 'frozen':
        await process.freeze(frozenMs, killedThen);
        return `${process.name} frozen for ${(frozenMs / 1_000).toFixed(1)} s${killedThen ? ', then killed' : ''}`;
    }
  }

  async close(): Promise<void> {
    this.client.close();
    await Promise.all(this.workers.map((worker) => worker.close()));
    await this.coordinator.close();
    await this.store?.process.close();
  }

  /** Leaves no process behind, without waiting. */
  killNow(): void {
    for (const process of [...this.workers, this.coordinator, this.store?.process]) process?.killNow();
  }
}

/** Its standard channels are a log file; it leaves when this process does. */
function spawnDd2(args: readonly string[], log: number, env: NodeJS.ProcessEnv): ChildProcess {
  return spawn(process.execPath, [dd2Program, ...args], { stdio: ['ignore', log, log, 'ipc'], env });
}

/** Two ports that nobody listens on now: servers that are started again need theirs fixed. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()];
  for (const server of servers) await once(server.listen(0, '127.0.0.1'), 'listening');
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  return [ports[0] ?? 0, ports[1] ?? 0];
}

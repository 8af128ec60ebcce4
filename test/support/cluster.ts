import { once } from 'node:events';
import { createServer } from 'node:net';
import { eventsOf, eventually, runDd2, startDd2, type Dd2Process } from './processes.js';

export interface ClusterOptions {
  readonly dataDir: string;
  readonly workers: number;
  /** of `dd2 coordinator` */
  readonly coordinatorOptions?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
}

/** `dd2 coordinator` on a port that stays, and `dd2 worker` processes. */
export class Cluster {
  readonly workers: Dd2Process[] = [];

  private constructor(
    readonly options: ClusterOptions,
    readonly port: number,
    public coordinator: Dd2Process,
  ) {}

  static async start(options: ClusterOptions): Promise<Cluster> {
    const port = await freePort();
    const cluster = new Cluster(options, port, startCoordinator(options, port));
    try {
      await cluster.ready();
      for (let index = 0; index < options.workers; index++) cluster.addWorker();
      return cluster;
    } catch (error) {
      await cluster.dispose();
      throw error;
    }
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Resolves when the coordinator listens. */
  async ready(): Promise<void> {
    await this.coordinator.until(/coordinator at (\S+)/);
  }

  addWorker(): Dd2Process {
    const worker = startDd2(['worker', '--coordinator', this.address, '--data-dir', this.options.dataDir], this.options.environment);
    this.workers.push(worker);
    return worker;
  }

  /** Kills the coordinator as a power cut does, and starts it again at once. */
  async crash(): Promise<void> {
    this.coordinator.child.kill('SIGKILL');
    await this.coordinator.exit;
    this.coordinator = startCoordinator(this.options, this.port);
  }

  /** Runs `dd2 run ...` against it. @returns what it printed @throws when it fails */
  async run(command: string, ...args: readonly string[]): Promise<string> {
    const { code, output } = await runDd2(['run', command, ...args, '--server', this.address, '--data-dir', this.options.dataDir]);
    if (code !== 0) throw new Error(`dd2 run ${command} ended with ${code}: ${output}`);
    return output.trim();
  }

  /** Resolves with the state that a run ends in. */
  ended(runId: string): Promise<string> {
    return eventually(async () => {
      const state = (await eventsOf(this.options.dataDir, runId)).at(-1)?.['state'];
      return typeof state === 'string' && ['completed', 'failed', 'cancelled', 'paused'].includes(state) ? state : undefined;
    });
  }

  /** Ends every process, in whatever condition it is. */
  async dispose(): Promise<void> {
    for (const { child } of [...this.workers, this.coordinator]) child.kill('SIGKILL');
    for (const { exit } of [...this.workers, this.coordinator]) await exit;
  }
}

function startCoordinator({ dataDir, coordinatorOptions = [], environment }: ClusterOptions, port: number): Dd2Process {
  return startDd2(['coordinator', '--data-dir', dataDir, '--port', String(port), ...coordinatorOptions], environment);
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || address === null) throw new Error('no free port');
  return address.port;
}

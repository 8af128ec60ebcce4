import { Coordinator } from '@dd2/coordinator';
import { createClient, RunService } from '@dd2/proto';
import { commandLogger } from '../process-logger.js';
import type { LiveOutput } from '../render/live-output.js';
import type { RunClient } from '../run-client.js';
import { spawnWorker, WorkerSupervisor } from './worker-supervisor.js';

export interface LocalClusterOptions {
  readonly dataDir: string;
  readonly workers: number;
  readonly provider: string;
  /** threads of one graph execution in each worker */
  readonly threads: number;
  readonly host?: string;
  /** 0, the default, picks a free port */
  readonly port?: number;
  readonly output: LiveOutput;
  readonly verbose: boolean;
}

/** A coordinator in this process, worker processes beside it, and a client. */
export class LocalCluster {
  readonly client: RunClient;

  private constructor(
    private readonly coordinator: Coordinator,
    private readonly workers: WorkerSupervisor,
    /** aborted, with the error as its reason, when workers cannot run on this machine */
    readonly failed: AbortSignal,
  ) {
    this.client = createClient(RunService, coordinator.address);
  }

  static async start(options: LocalClusterOptions): Promise<LocalCluster> {
    const { dataDir, host = '127.0.0.1', port = 0, output, verbose, provider, threads } = options;
    const coordinator = await Coordinator.start({ dataDir, host, port, logger: commandLogger(output, verbose) });
    const failure = new AbortController();
    const workers = new WorkerSupervisor({
      count: options.workers,
      spawn: (index) => spawnWorker({ coordinator: coordinator.address, provider, threads, verbose }, `worker-${index}`),
      onRestart: (name, reason, delayMs) => output.line(`${name} ended (${reason}); starting it again in ${delayMs / 1_000} s`),
      onFatal: (error) => failure.abort(error),
    });
    return new LocalCluster(coordinator, workers, failure.signal);
  }

  /** `host:port` */
  get address(): string {
    return this.coordinator.address;
  }

  /** Stops runs with a checkpoint, then everything else. */
  async close(): Promise<void> {
    this.workers.stopStarting();
    await this.coordinator.close();
    await this.workers.close();
    this.client.close();
  }
}

import type { Coordinator, HttpOptions } from '@dd2/coordinator';
import type { RunSpec } from '@dd2/core';
import { createClient, hostOf, joinAddress, RunService, type ClientOptions } from '@dd2/proto';
import { serverCertificates } from '../certs/folder.js';
import { connectLocal } from '../connection.js';
import type { QueueSettings } from '../options.js';
import { pageLink } from '../page.js';
import { commandLogger } from '../process-logger.js';
import type { LiveOutput } from '../render/live-output.js';
import type { RunClient } from '../run-client.js';
import { spawnWorker, WorkerSupervisor } from './worker-supervisor.js';

export interface LocalClusterOptions {
  readonly dataDir: string;
  /** worker processes for any work, and what they compute on */
  readonly workers: number;
  readonly execution: RunSpec['execution'];
  /** worker processes of the teacher pool, and what they compute on */
  readonly teacherWorkers?: number;
  readonly teacherExecution?: RunSpec['execution'] | undefined;
  readonly host?: string;
  /** 0, the default, picks a free port */
  readonly port?: number;
  /** page and HTTP API; there are none without */
  readonly http?: HttpOptions | undefined;
  /** folder with certificates for TLS */
  readonly certs?: string | undefined;
  /** allows to listen on a network without TLS */
  readonly insecure?: boolean;
  /** how runs are queued and placed; a run at a time, with the queues in the data folder, unless told */
  readonly queue?: Partial<QueueSettings>;
  /** whether runs that an earlier coordinator left unfinished go on */
  readonly resumeRuns: boolean;
  readonly output: LiveOutput;
  readonly verbose: boolean;
}

const READY_MS = 5_000;

/**
 * Shows that an execution provider works on this machine, before anything is started that needs it. The workers find out for the
 * CPU: it is there.
 * @throws {Dd2Error} PROVIDER_UNAVAILABLE
 */
async function requireProvider(execution: RunSpec['execution']): Promise<void> {
  if (execution.provider === 'cpu') return;
  const { Engine } = await import('@dd2/engine');
  const engine = await Engine.start(execution);
  await engine.close();
}

/** A coordinator in this process, worker processes beside it, and a client. */
export class LocalCluster {
  readonly client: RunClient;

  private constructor(
    private readonly coordinator: Coordinator,
    private readonly workers: WorkerSupervisor,
    /** aborted, with the error as its reason, when workers cannot run on this machine, or another coordinator has taken the data folder over */
    readonly failed: AbortSignal,
    private readonly connection: ClientOptions,
    private readonly options: Pick<LocalClusterOptions, 'output' | 'dataDir'>,
  ) {
    this.client = createClient(RunService, dialled(coordinator.address), connection);
  }

  static async start(options: LocalClusterOptions): Promise<LocalCluster> {
    const { dataDir, host = '127.0.0.1', port = 0, http, certs, insecure = false, queue, resumeRuns, output, verbose, execution, teacherWorkers = 0, teacherExecution = execution } = options;
    for (const needed of new Set(teacherWorkers > 0 ? [execution, teacherExecution] : [execution])) await requireProvider(needed);
    const access = { tls: certs === undefined ? undefined : serverCertificates(certs), insecure };
    const { Coordinator } = await import('@dd2/coordinator');
    const coordinator = await Coordinator.start({ dataDir, host, port, http, access, ...queue, resumeRuns, logger: commandLogger(output, verbose) });
    const failure = new AbortController();
    const workers = new WorkerSupervisor({
      count: options.workers + teacherWorkers,
      spawn: (index) => {
        const settings = { coordinator: dialled(coordinator.address), dataDir, certs, insecure, verbose };
        const teacher = index - options.workers;
        return teacher < 0 ? spawnWorker({ ...settings, ...execution }, `worker-${index}`) : spawnWorker({ ...settings, ...teacherExecution, role: 'teacher' }, `teacher-${teacher}`);
      },
      onRestart: (name, reason, delayMs) => output.line(`${name} ended (${reason}); starting it again in ${delayMs / 1_000} s`),
      onFatal: (error) => failure.abort(error),
    });
    const cluster = new LocalCluster(coordinator, workers, AbortSignal.any([failure.signal, coordinator.lost]), connectLocal('api', dataDir, certs), options);
    // Certificates that are not for this machine would keep the workers out without a word.
    if (certs !== undefined) {
      await cluster.client.ready(READY_MS).catch(async (thrown: unknown) => {
        await cluster.close();
        throw thrown;
      });
    }
    return cluster;
  }

  /** `host:port` */
  get address(): string {
    return this.coordinator.address;
  }

  /**
   * Says where the page is; nothing without one. People at a terminal get a link that logs in; anything else may be a log, which
   * holds no token.
   */
  showPage(): void {
    const { httpUrl } = this.coordinator;
    if (httpUrl === undefined) return;
    const { output, dataDir } = this.options;
    const { protocol, host } = new URL(httpUrl);
    const url = `${protocol}//${dialled(host)}`;
    const { token } = this.connection;
    const shown = typeof token === 'function' ? token() : token;
    output.line(output.isTerminal ? `page at ${pageLink(url, shown)}` : `page at ${url} (\`dd2 dashboard --http ${url} --data-dir ${dataDir}\` prints a link that logs in)`);
  }

  /** Ends everything; runs that are not done are checkpointed, and left for the next coordinator. */
  async close(): Promise<void> {
    this.workers.stopStarting();
    await this.coordinator.close();
    await this.workers.close();
    this.client.close();
  }
}

/** The address at which this machine dials a coordinator that may listen on all interfaces. */
function dialled(address: string): string {
  const everywhere: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  const host = hostOf(address);
  return joinAddress(everywhere[host] ?? host, Number(address.slice(address.lastIndexOf(':') + 1)));
}

import { resolve } from 'node:path';
import { createServer, joinAddress, RunService, WorkerService, type RpcServer } from '@dd2/proto';
import { pino, type Logger } from 'pino';
import { openAccess, secureTransport, type AccessOptions } from './access.js';
import { ContentStore } from './content-store.js';
import { Dispatcher } from './dispatcher.js';
import { executionKind } from './execution-kind.js';
import { Fence } from './fence.js';
import { LocalExchange } from './local-exchange.js';
import { QueueStore } from './queue/index.js';
import { RunManager } from './run-manager.js';
import { runService } from './run-service.js';
import { WorkerSessions } from './worker-service.js';

export interface CoordinatorOptions {
  /** holds `runs/<id>/` */
  readonly dataDir: string;
  /** interface to listen on; loopback unless told */
  readonly host?: string;
  /** 0 picks a free one */
  readonly port?: number;
  /** who may connect and how; without it everybody on this machine, which is for tests */
  readonly access?: AccessOptions | undefined;
  readonly logger?: Logger;
  /** Redis that keeps the queues; without it they are kept in the data folder */
  readonly redisUrl?: string | undefined;
  /** updates wait until so many workers are connected that may compute them (default 1) */
  readonly minWorkers?: number | undefined;
  /** runs that are advanced at once (default 1) */
  readonly maxRuns?: number | undefined;
  /** take up what the coordinator before this one left unfinished (default true) */
  readonly resumeRuns?: boolean | undefined;
}

const TICK_MS = 1_000;
/** a run may finish its update and write its checkpoint */
const LONGEST_CLOSE_MS = 60_000;

interface Parts {
  readonly fence: Fence;
  readonly exchange: LocalExchange;
  readonly store: QueueStore;
  readonly runs: RunManager;
  readonly sessions: WorkerSessions;
  readonly server: RpcServer;
  readonly ticker: NodeJS.Timeout;
}

/** Schedules runs over the workers that dial in: assembles services, dispatcher, queues and runs, and owns them. */
export class Coordinator {
  private constructor(
    /** `host:port` that workers and clients dial */
    readonly address: string,
    private readonly parts: Parts,
  ) {
    const { fence, runs } = parts;
    const abandon = (): void => runs.abandon(fence.lost.reason);
    if (fence.lost.aborted) abandon();
    fence.lost.addEventListener('abort', abandon, { once: true });
  }

  /** @throws {Dd2Error} UNAVAILABLE when the port cannot be bound, RUN_CONFLICT when another coordinator has the data folder, INVALID_ARGUMENT for plain text on a network */
  static async start(options: CoordinatorOptions): Promise<Coordinator> {
    const { host = '127.0.0.1', port = 0, logger = pino({ level: 'silent' }), redisUrl, minWorkers, maxRuns, resumeRuns } = options;
    const dataDir = resolve(options.dataDir);
    const tls = secureTransport(host, options.access, logger);
    const opened: (() => Promise<unknown>)[] = [];
    try {
      const fence = await Fence.acquire(dataDir, { logger });
      opened.push(() => fence.release());
      const exchange = await LocalExchange.open(dataDir);
      opened.push(() => exchange.close());
      const access = await openAccess(dataDir, options.access, logger);
      const server = createServer({ tls });
      opened.push(() => server.close());
      const { clusterId, epoch } = fence;
      // Opening the store may take seconds, in which workers and clients can connect already.
      const opening = QueueStore.open({ dataDir, redisUrl, clusterId, epoch, logger });
      opening.catch(() => undefined); // awaited below, unless something else has failed before
      opened.push(() => opening.then((store) => store.close(), () => undefined));

      const contents = new ContentStore();
      const dispatcher = new Dispatcher({ minWorkers, onWaiting: (namespace, what) => runs.waiting(namespace, what) });
      const runs = await RunManager.open({ dataDir, dispatcher, contents, exchange, logger, epoch, verify: () => fence.verify(), maxRuns, resumeRuns });
      opened.push(() => runs.close());
      const sessions = new WorkerSessions({
        epoch,
        clusterId,
        fenceLost: fence.lost,
        dispatcher,
        contents,
        exchange,
        parametersOf: (namespace) => runs.parametersOf(namespace),
        logger,
        onWorkers: (change, { hello }) => {
          logger.info({ worker: hello.name, provider: hello.provider, pool: hello.pool, workers: dispatcher.workerCount }, `worker ${change}`);
          runs.workersChanged(`worker ${hello.name} ${change}`, executionKind(hello), hello.pool);
        },
      });
      server.add(WorkerService, sessions.handlers(), access.worker);
      server.add(RunService, runService(runs), access.api);
      const bound = await server.listen(joinAddress(host, port));
      const store = await opening;
      runs.start(store);
      const ticker = setInterval(() => dispatcher.tick(), TICK_MS);
      logger.info({ host, port: bound, dataDir, epoch: String(epoch), store: store.kind }, 'the coordinator listens');
      return new Coordinator(joinAddress(host, bound), { fence, exchange, store, runs, sessions, server, ticker });
    } catch (error) {
      for (const close of opened.reverse()) await close();
      throw error;
    }
  }

  /** Fires, with the error FENCED as its reason, when another coordinator has taken the data folder over: this one must end. */
  get lost(): AbortSignal {
    return this.parts.fence.lost;
  }

  /** Ends what runs, with checkpoints, then the sessions and the server; the next coordinator goes on with the runs. */
  async close(): Promise<void> {
    const { fence, exchange, store, runs, sessions, server, ticker } = this.parts;
    // Together: what is given up because of this goes back into the queue.
    await Promise.all([store.close(LONGEST_CLOSE_MS), runs.close()]);
    clearInterval(ticker);
    sessions.end();
    await server.close(200);
    await exchange.close();
    await fence.release();
  }
}

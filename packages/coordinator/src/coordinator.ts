import { resolve } from 'node:path';
import { createServer, RunService, WorkerService, type RpcServer } from '@dd2/proto';
import { pino, type Logger } from 'pino';
import { executionKind } from './execution-kind.js';
import { claimDataFolder } from './data-folder-claim.js';
import { ContentStore } from './content-store.js';
import { Dispatcher } from './dispatcher.js';
import { LocalExchange } from './local-exchange.js';
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
  readonly logger?: Logger;
}

const TICK_MS = 1_000;

/** Schedules runs over the workers that dial in: assembles services, dispatcher and runs, and owns them. */
export class Coordinator {
  private constructor(
    /** `host:port` that workers and clients dial */
    readonly address: string,
    private readonly parts: { readonly server: RpcServer; readonly sessions: WorkerSessions; readonly runs: RunManager; readonly exchange: LocalExchange; readonly ticker: NodeJS.Timeout; readonly release: () => Promise<void> },
  ) {}

  /** @throws {Dd2Error} UNAVAILABLE when the port cannot be bound, RUN_CONFLICT when another coordinator has the data folder */
  static async start({ dataDir, host = '127.0.0.1', port = 0, logger = pino({ level: 'silent' }) }: CoordinatorOptions): Promise<Coordinator> {
    const dispatcher = new Dispatcher();
    const contents = new ContentStore();
    const release = await claimDataFolder(resolve(dataDir));
    const exchange = await LocalExchange.open(resolve(dataDir)).catch(async (error: unknown) => {
      await release();
      throw error;
    });
    try {
      const runs = await RunManager.open({ dataDir: resolve(dataDir), dispatcher, contents, exchange, logger });
      const sessions = new WorkerSessions({
        epoch: BigInt(Date.now()),
        dispatcher,
        contents,
        exchange,
        parametersOf: (namespace) => runs.parametersOf(namespace),
        logger,
        onWorkers: (change, { hello }) => {
          logger.info({ worker: hello.name, provider: hello.provider, workers: dispatcher.workerCount }, `worker ${change}`);
          runs.workersChanged(`worker ${hello.name} ${change}`, executionKind(hello));
        },
      });
      const server = createServer();
      server.add(WorkerService, sessions.handlers());
      server.add(RunService, runService(runs));
      const bound = await server.listen(`${host}:${port}`);
      const ticker = setInterval(() => dispatcher.tick(), TICK_MS);
      logger.info({ host, port: bound, dataDir }, 'the coordinator listens');
      return new Coordinator(`${host}:${bound}`, { server, sessions, runs, exchange, ticker, release });
    } catch (error) {
      await exchange.close();
      await release();
      throw error;
    }
  }

  /** Stops runs with a checkpoint, ends the sessions, closes the server. */
  async close(): Promise<void> {
    const { server, sessions, runs, exchange, ticker, release } = this.parts;
    await runs.close();
    clearInterval(ticker);
    sessions.end();
    await server.close(200);
    await exchange.close();
    await release();
  }
}

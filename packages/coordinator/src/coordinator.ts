import { resolve } from 'node:path';
import { createServer, joinAddress, RunService, WorkerService, type RpcServer } from '@dd2/proto';
import { pino, type Logger } from 'pino';
import { openAccess, secureTransport, type AccessOptions } from './access.js';
import { AssetStore } from './pushed-assets/asset-store.js';
import { ContentStore } from './content-store.js';
import { Dispatcher } from './dispatcher.js';
import { executionKind } from './execution-kind.js';
import { RunExports } from './export/run-exports.js';
import { Fence } from './fence.js';
import { liveness, readiness } from './http/health.js';
import { HttpAccess } from './http/http-access.js';
import { HttpServer, type HttpLimits } from './http/http-server.js';
import { LocalExchange } from './local-exchange.js';
import { Cluster } from './observe/cluster.js';
import { Prometheus } from './observe/prometheus.js';
import { RunActivity } from './observe/run-activity.js';
import { WorkerActivity } from './observe/worker-activity.js';
import { QueueStore } from './queue/index.js';
import { RunChanges } from './run-changes.js';
import { RunManager } from './run-manager.js';
import { runService } from './run-service.js';
import { seriesRun } from './series/get-run-series.js';
import { SeriesReader } from './series/series-reader.js';
import { WorkerSessions } from './worker-service.js';

/** The HTTP server: API, page, probes and metrics. It listens on the host of the coordinator, with the same certificate. */
export interface HttpOptions {
  /** 0 picks a free one */
  readonly port: number;
  /** take any free port when this one is in use */
  readonly orAnyPort?: boolean | undefined;
  /** folder with the built page */
  readonly pageFolder?: string | undefined;
  readonly limits?: Partial<HttpLimits> | undefined;
}

export interface CoordinatorOptions {
  /** holds `runs/<id>/` */
  readonly dataDir: string;
  /** interface to listen on; loopback unless told */
  readonly host?: string;
  /** 0 picks a free one */
  readonly port?: number;
  /** no HTTP without */
  readonly http?: HttpOptions | undefined;
  /** who may connect and how; without it everybody on this machine, which is for tests */
  readonly access?: AccessOptions | undefined;
  readonly logger?: Logger;
  /** Redis that keeps the queues; without it they are kept in the data folder */
  readonly redisUrl?: string | undefined;
  /** file with the password of Redis; its address must hold none then. Read again with every connection */
  readonly redisPasswordFile?: string | undefined;
  /** certificates of the authorities that vouch for Redis, for `rediss://`; those that Node knows without */
  readonly redisCaFile?: string | undefined;
  /** updates wait until so many workers are connected that may compute them (default 1) */
  readonly minWorkers?: number | undefined;
  /** runs that are advanced at once (default 1) */
  readonly maxRuns?: number | undefined;
  /** take up what the coordinator before this one left unfinished (default true) */
  readonly resumeRuns?: boolean | undefined;
  /** folder that relative paths of submitted run specs start from when the request names none (default: the working directory) */
  readonly basePath?: string | undefined;
  /** bytes that asset bundles may have together that are pushed from other machines (default 64 GiB) */
  readonly maxAssetsBytes?: number | undefined;
}

const TICK_MS = 1_000;
/** a run may finish its update and write its checkpoint */
export const LONGEST_CLOSE_MS = 60_000;

interface Parts {
  readonly prometheus: Prometheus;
  readonly fence: Fence;
  readonly exchange: LocalExchange;
  readonly store: QueueStore;
  readonly runs: RunManager;
  readonly exports: RunExports;
  readonly assets: AssetStore;
  readonly series: SeriesReader;
  readonly sessions: WorkerSessions;
  readonly server: RpcServer;
  readonly http: HttpServer | undefined;
  readonly ticker: NodeJS.Timeout;
  readonly stage: Stage;
}

/** How far the start has come, for probes, which are answered from the beginning to the end. */
interface Stage {
  port?: number;
  store?: QueueStore;
  closing: boolean;
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
    const { host = '127.0.0.1', port = 0, logger = pino({ level: 'silent' }), redisUrl, redisPasswordFile, redisCaFile, minWorkers, maxRuns, resumeRuns, maxAssetsBytes } = options;
    const [dataDir, basePath] = [resolve(options.dataDir), resolve(options.basePath ?? '.')];
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
      const opening = QueueStore.open({ dataDir, redisUrl, redisPasswordFile, redisCaFile, clusterId, epoch, logger });
      opening.catch(() => undefined); // awaited below, unless something else has failed before
      opened.push(() => opening.then((store) => store.close(), () => undefined));

      const contents = new ContentStore();
      const workerActivity = new WorkerActivity();
      const runActivity = new RunActivity();
      const cluster = new Cluster({ clusterId, epoch, maxRuns: maxRuns ?? 1, storeKind: redisUrl === undefined ? 'embedded' : 'redis' });
      const dispatcher = new Dispatcher({ minWorkers, observer: workerActivity, onWaiting: (namespace, what) => runs.waiting(namespace, what) });
      const runs = await RunManager.open({ dataDir, activity: runActivity, dispatcher, contents, exchange, logger, epoch, verify: () => fence.verify(), maxRuns, resumeRuns });
      opened.push(() => runs.close());
      const series = new SeriesReader({ dataDir, runs: () => runs.runs.map(seriesRun), logger });
      opened.push(() => series.close());
      const exports = new RunExports(cluster.version);
      opened.push(() => exports.close());
      const assets = await AssetStore.open({ dataDir, maxBytes: maxAssetsBytes, verify: () => fence.verify(), logger });
      opened.push(() => assets.close());
      const sessions = new WorkerSessions({
        epoch,
        clusterId,
        fenceLost: fence.lost,
        dispatcher,
        contents,
        exchange,
        parametersOf: (namespace) => runs.parametersOf(namespace),
        logger,
        activity: workerActivity,
        onWorkers: (change, { hello }) => {
          logger.info({ worker: hello.name, provider: hello.provider, pool: hello.pool, workers: dispatcher.workerCount }, `worker ${change}`);
          runs.workersChanged(`worker ${hello.name} ${change}`, executionKind(hello), hello.pool);
        },
      });
      const prometheus = new Prometheus({ runs, dispatcher, runActivity, workerActivity, cluster });
      server.add(WorkerService, sessions.handlers(), access.worker);
      const changes = new RunChanges(runs);
      const handlers = runService({ runs, dispatcher, workerActivity, cluster, exports, assets, series, changes, basePath });
      server.add(RunService, handlers, access.api);
      const stage: Stage = { closing: false };
      const health = { fence, store: () => stage.store, listens: () => stage.port !== undefined, closing: () => stage.closing };
      const http = options.http && (await HttpServer.start({
        ...options.http,
        host,
        tls,
        access: new HttpAccess(access.tokens, clusterId),
        handlers,
        runs,
        changes,
        metrics: prometheus,
        liveness: () => liveness(health),
        readiness: () => readiness(health),
        version: cluster.version,
        logger,
      }));
      opened.push(async () => http?.close());
      const bound = (stage.port = await server.listen(joinAddress(host, port)));
      const store = (stage.store = await opening);
      cluster.store = store;
      runs.start(store);
      const ticker = setInterval(() => dispatcher.tick(), TICK_MS);
      logger.info({ host, port: bound, page: http?.url, dataDir, epoch: String(epoch), store: store.kind }, 'the coordinator listens');
      return new Coordinator(joinAddress(host, bound), { prometheus, exports, assets, series, fence, exchange, store, runs, sessions, server, http, ticker, stage });
    } catch (error) {
      for (const close of opened.reverse()) await close();
      throw error;
    }
  }

  /** `http://host:port` of page and API, https with certificates; undefined without HTTP */
  get httpUrl(): string | undefined {
    return this.parts.http?.url;
  }

  /** Fires, with the error FENCED as its reason, when another coordinator has taken the data folder over: this one must end. */
  get lost(): AbortSignal {
    return this.parts.fence.lost;
  }

  /** What `/metrics` answers, see `Prometheus`. */
  get prometheus(): Pick<Prometheus, 'metricsText' | 'contentType'> {
    return this.parts.prometheus;
  }

  /** Ends what runs, with checkpoints, then the sessions and the server; the next coordinator goes on with the runs. */
  async close(): Promise<void> {
    const { fence, exchange, store, runs, exports, assets, series, sessions, server, http, ticker, stage } = this.parts;
    stage.closing = true;
    http?.endStreams(); // whoever watches should not wait for the checkpoints
    // Together: what is given up because of this goes back into the queue.
    await Promise.all([store.close(LONGEST_CLOSE_MS), runs.close(), exports.close(), assets.close()]);
    clearInterval(ticker);
    sessions.end();
    await server.close(200);
    await http?.close();
    await series.close();
    await exchange.close();
    await fence.release();
  }
}

import { once } from 'node:events';
import { resolve } from 'node:path';
import type { Handlers, MessageInitShape, MessageWritable, RunSchema, RunService } from '@dd2/proto';
import { stringify } from 'yaml';
import type { AssetStore } from './pushed-assets/asset-store.js';
import { listAssets, removeAssets } from './pushed-assets/pushed-assets.js';
import { describeCheckpoints, verifyCheckpoints } from './checkpoint-list.js';
import type { Dispatcher } from './dispatcher.js';
import { samplerName } from './evaluate.js';
import type { RunExports } from './export/run-exports.js';
import type { Cluster } from './observe/cluster.js';
import { listWorkers } from './observe/list-workers.js';
import type { WorkerActivity } from './observe/worker-activity.js';
import type { RunChanges } from './run-changes.js';
import type { RunHistory } from './run-history.js';
import type { RunManager } from './run-manager.js';
import { evaluationMessages, eventMessage, recordMessage, runMessage } from './run-messages.js';
import { getRunSeries } from './series/get-run-series.js';
import type { SeriesReader } from './series/series-reader.js';
import { specSha256 } from './submission.js';
import { validateSubmission } from './validate-submission.js';

/** Events in one answer, at most. */
const MAX_EVENTS = 1_000;

/** What the handlers of RunService answer from. */
export interface RunServiceParts {
  readonly runs: RunManager;
  readonly changes: RunChanges;
  readonly dispatcher: Pick<Dispatcher, 'standing'>;
  readonly workerActivity: WorkerActivity;
  readonly cluster: Cluster;
  readonly series: SeriesReader;
  readonly exports: RunExports;
  readonly assets: AssetStore;
  /** folder that relative paths of run specs start from when a request names none */
  readonly basePath: string;
}

/** RunService: what people and their tools ask of the coordinator. */
export function runService({ runs: manager, changes, dispatcher, workerActivity, cluster, exports, assets, series, basePath }: RunServiceParts): Handlers<typeof RunService> {
  const message = (run: RunHistory): MessageInitShape<typeof RunSchema> => runMessage(manager, run);
  return {
    submitRun: async (request) => ({ run: message(await manager.submit({ ...request, basePath: resolve(basePath, request.basePath) })) }),
    getRun: async ({ runId }) => ({ run: message(manager.find(runId)) }),
    listRuns: async ({ states }) => ({
      runs: manager.runs.map(message).filter(({ state }) => states.length === 0 || (state !== undefined && states.includes(state))),
    }),
    pauseRun: async ({ runId }) => ({ run: message(await manager.pause(runId)) }),
    resumeRun: async ({ runId }) => ({ run: message(await manager.resume(runId)) }),
    cancelRun: async ({ runId }) => ({ run: message(await manager.cancel(runId)) }),
    watchRun: async ({ runId, since }, stream, { signal }) => {
      for await (const moment of manager.find(runId).watch(Number(since), signal)) {
        await send(stream, { event: eventMessage(moment) }, signal);
      }
    },
    evaluate: async ({ runId, update, samplers, samples, noiseSeed }, stream, { signal }) => {
      const request = {
        update,
        samplers: samplers.length === 0 ? [samplerName({ kind: 'one-step' })] : samplers,
        samples: samples === 0 ? undefined : samples,
        noiseSeed: noiseSeed === undefined ? undefined : Number(noiseSeed),
      };
      for await (const step of manager.evaluate(runId, request, signal)) {
        await send(
          stream,
          'fid' in step
            ? { message: { case: 'evaluation', value: recordMessage(runId, step.id, step, manager.evaluationsOf(runId).hasGrid(step.id)) } }
            : { message: { case: 'progress', value: { sampler: step.sampler, samples: 0, totalSamples: step.samples } } },
          signal,
        );
      }
    },
    getSampleGrid: async ({ runId, evaluationId }) => ({ png: await manager.evaluationsOf(runId).grid(evaluationId) }),
    watchRuns: async (_request, stream, { signal }) => {
      for await (const run of changes.watch(manager.runs, signal)) await send(stream, { run: message(run) }, signal);
    },
    listRunEvents: async ({ runId, since, limit }) => {
      const later = manager.find(runId).events.filter(({ sequence }) => sequence > Number(since));
      return { events: later.slice(-(Math.min(limit, MAX_EVENTS) || MAX_EVENTS)).map(eventMessage) };
    },
    getRunSpec: async ({ runId }) => {
      const { spec } = manager.find(runId);
      return { specYaml: stringify(spec), specSha256: specSha256(spec) };
    },
    validateRunSpec: async (request) => validateSubmission({ ...request, basePath: resolve(basePath, request.basePath) }),
    getRunSeries: async (request, context) => getRunSeries(series, manager.find(request.runId), request, context),
    listCheckpoints: async ({ runId }) => ({ checkpoints: await describeCheckpoints(manager.evaluationsOf(runId)) }),
    verifyCheckpoints: async ({ runId, update }, { signal }) => ({ verdicts: await verifyCheckpoints(manager.evaluationsOf(runId), update, signal) }),
    exportRun: async ({ runId, ...request }, stream, { signal }) => {
      for await (const piece of exports.stream(manager.evaluationsOf(runId), request, signal)) await send(stream, piece, signal);
    },
    listWorkers: async () => listWorkers(workerActivity, dispatcher),
    getCluster: async () => cluster.message(),
    findAssets: async ({ manifestSha256 }) => assets.find(manifestSha256),
    pushAssets: async (stream, { signal }) => ({ folder: await assets.push(stream, signal) }),
    listAssets: async () => listAssets(assets, manager),
    removeAssets: async ({ manifestSha256 }) => removeAssets(assets, manager, manifestSha256),
    listEvaluations: async ({ runId }) => ({ evaluations: evaluationMessages(runId, manager.evaluationsOf(runId)) }),
  };
}

/** Writes a message, and waits when the reader does not keep up: what is not taken yet must not pile up here. */
async function send<T>(stream: MessageWritable<T>, message: T, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!stream.write(message) && stream.writableNeedDrain) await once(stream, 'drain', { signal });
}

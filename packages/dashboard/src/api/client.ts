import { apiUrl, call, send, type CallOptions, type Query } from './http.js';
import { readServerEvents } from './server-events.js';
import { problemFrom } from './api-error.js';
import type { Checkpoint, CheckpointVerdict, Cluster, Evaluation, EvaluationProgress, Run, RunEvent, RunSeries, RunSpecText, RunState, SeriesAxis, SpecValidation, Submission, Worker } from './messages.js';

export { ApiError } from './api-error.js';
export { apiUrl, onUnauthenticated } from './http.js';
export * from './messages.js';

/** The HTTP API by path below `/api/v1`. @throws {ApiError} */
export const api = {
  get: <T>(path: string, query?: Query, options?: CallOptions): Promise<T> => call<T>('GET', path, query, undefined, options),
  post: <T>(path: string, body: unknown = {}, options?: CallOptions): Promise<T> => call<T>('POST', path, undefined, body, options),
  delete: <T>(path: string, options?: CallOptions): Promise<T> => call<T>('DELETE', path, undefined, undefined, options),
};

const runPath = (runId: string, rest = ''): string => `/runs/${encodeURIComponent(runId)}${rest}`;

export const listRuns = async (states: readonly RunState[] = [], options?: CallOptions): Promise<readonly Run[]> => (await api.get<{ runs: readonly Run[] }>('/runs', { states }, options)).runs;
export const getRun = async (runId: string, options?: CallOptions): Promise<Run> => (await api.get<{ run: Run }>(runPath(runId), undefined, options)).run;
export const submitRun = async (submission: Submission): Promise<Run> => (await api.post<{ run: Run }>('/runs', submission)).run;
export const pauseRun = async (runId: string): Promise<Run> => (await api.post<{ run: Run }>(runPath(runId, '/pause'))).run;
export const resumeRun = async (runId: string): Promise<Run> => (await api.post<{ run: Run }>(runPath(runId, '/resume'))).run;
export const cancelRun = async (runId: string): Promise<Run> => (await api.post<{ run: Run }>(runPath(runId, '/cancel'))).run;
export const getRunSpec = (runId: string, options?: CallOptions): Promise<RunSpecText> => api.get(runPath(runId, '/spec'), undefined, options);
export const validateSpec = (request: { readonly specYaml: string; readonly overrides?: readonly string[]; readonly basePath?: string }, options?: CallOptions): Promise<SpecValidation> =>
  api.post('/specs/validate', request, options);

/** Events of a run, ascending; at most `limit`, the newest of them. */
export const listEvents = async (runId: string, query: { readonly since?: string | number; readonly limit?: number } = {}, options?: CallOptions): Promise<readonly RunEvent[]> =>
  (await api.get<{ events: readonly RunEvent[] }>(runPath(runId, '/events'), query, options)).events;

export interface SeriesQuery {
  readonly names?: readonly string[];
  readonly axis?: SeriesAxis;
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly buckets?: number;
  readonly positions?: readonly number[];
}
export const getSeries = (runId: string, query: SeriesQuery, options?: CallOptions): Promise<RunSeries> => api.get(runPath(runId, '/series'), { ...query }, options);

export const listEvaluations = async (runId: string, options?: CallOptions): Promise<readonly Evaluation[]> =>
  (await api.get<{ evaluations: readonly Evaluation[] }>(runPath(runId, '/evaluations'), undefined, options)).evaluations;

export interface EvaluationWish {
  readonly update?: number;
  readonly samplers?: readonly string[];
  readonly samples?: number;
  readonly noiseSeed?: string;
}

/**
 * Queues evaluations and tells how they go; resolves when all are over. They go on when the caller leaves (`signal`).
 * @throws {ApiError}
 */
export async function evaluate(runId: string, wish: EvaluationWish, told: { readonly onProgress?: (progress: EvaluationProgress) => void; readonly onEvaluation?: (evaluation: Evaluation) => void; readonly signal?: AbortSignal } = {}): Promise<void> {
  const response = await send('POST', runPath(runId, '/evaluations'), undefined, wish, { signal: told.signal });
  for await (const { name, data } of readServerEvents(response)) {
    const message = JSON.parse(data) as { readonly progress?: EvaluationProgress; readonly evaluation?: Evaluation };
    if (name === 'error') throw problemFrom(message, response.status);
    if (message.progress) told.onProgress?.(message.progress);
    if (message.evaluation) told.onEvaluation?.(message.evaluation);
  }
}

/** Address of the grid of images of an evaluation. */
export const gridUrl = (runId: string, evaluationId: string): string => apiUrl(runPath(runId, `/evaluations/${encodeURIComponent(evaluationId)}/grid`));

export const listCheckpoints = async (runId: string, options?: CallOptions): Promise<readonly Checkpoint[]> =>
  (await api.get<{ checkpoints: readonly Checkpoint[] }>(runPath(runId, '/checkpoints'), undefined, options)).checkpoints;
export const verifyCheckpoints = async (runId: string, update?: number): Promise<readonly CheckpointVerdict[]> =>
  (await api.post<{ verdicts: readonly CheckpointVerdict[] }>(runPath(runId, '/checkpoints/verify'), update === undefined ? {} : { update })).verdicts;

/** Address of a download: the sampler as ONNX, or the generator's parameters as safetensors. */
export const exportUrl = (runId: string, wish: { readonly format: 'onnx' | 'safetensors'; readonly sampler?: 'one-step' | 'teacher'; readonly update?: number }): string =>
  apiUrl(runPath(runId, '/export'), { format: wish.format === 'onnx' ? 'EXPORT_FORMAT_ONNX' : 'EXPORT_FORMAT_SAFETENSORS', sampler: wish.sampler, update: wish.update });

export const listWorkers = async (options?: CallOptions): Promise<readonly Worker[]> => (await api.get<{ workers: readonly Worker[] }>('/workers', undefined, options)).workers;
export const getCluster = (options?: CallOptions): Promise<Cluster> => api.get('/cluster', undefined, options);

export const isLoggedIn = async (): Promise<boolean> => (await api.get<{ authenticated: boolean }>('/session')).authenticated;
export const logIn = (token: string): Promise<unknown> => api.post('/session', { token });
export const logOut = (): Promise<unknown> => api.delete('/session');

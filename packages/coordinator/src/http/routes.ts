import type { RunService } from '@dd2/proto';

/** How a route answers: one message, a stream of server-sent events, the bytes of an image, or a file. */
export type Answer = 'json' | 'events' | 'image' | 'download';

/** One operation of the HTTP interface. Path parameters and query, or the body, are the fields of the method's request. */
export interface Route {
  readonly verb: 'GET' | 'POST';
  /** under /api/v1; a path parameter is the JSON name of a request field in braces */
  readonly path: string;
  readonly method: Exclude<keyof typeof RunService.method, 'pushAssets'>;
  readonly answer: Answer;
  /** of server-sent events: their names. More than one are the fields of a oneof of the response. */
  readonly events?: readonly string[];
  /** the same question about a run within so many milliseconds has the same answer, unless the run's state has changed */
  readonly shareMs?: number;
  /** heading in the document */
  readonly group: string;
}

export const API = '/api/v1';

/**
 * The one table of operations: the server serves it, the OpenAPI document describes it. It has every method of RunService but
 * PushAssets, which takes a stream of messages: that is for gRPC.
 */
export const routes: readonly Route[] = [
  { verb: 'GET', path: '/runs', method: 'listRuns', answer: 'json', group: 'runs' },
  { verb: 'POST', path: '/runs', method: 'submitRun', answer: 'json', group: 'runs' },
  { verb: 'GET', path: '/runs/{runId}', method: 'getRun', answer: 'json', group: 'runs' },
  { verb: 'GET', path: '/runs/{runId}/spec', method: 'getRunSpec', answer: 'json', group: 'runs' },
  { verb: 'POST', path: '/runs/{runId}/pause', method: 'pauseRun', answer: 'json', group: 'runs' },
  { verb: 'POST', path: '/runs/{runId}/resume', method: 'resumeRun', answer: 'json', group: 'runs' },
  { verb: 'POST', path: '/runs/{runId}/cancel', method: 'cancelRun', answer: 'json', group: 'runs' },
  { verb: 'GET', path: '/runs/{runId}/events', method: 'listRunEvents', answer: 'json', group: 'runs' },
  { verb: 'GET', path: '/runs/{runId}/watch', method: 'watchRun', answer: 'events', events: ['run-event'], group: 'runs' },
  { verb: 'GET', path: '/watch', method: 'watchRuns', answer: 'events', events: ['run'], group: 'runs' },
  { verb: 'GET', path: '/runs/{runId}/series', method: 'getRunSeries', answer: 'json', shareMs: 1_000, group: 'metrics' },
  { verb: 'GET', path: '/runs/{runId}/evaluations', method: 'listEvaluations', answer: 'json', group: 'evaluations' },
  { verb: 'POST', path: '/runs/{runId}/evaluations', method: 'evaluate', answer: 'events', events: ['progress', 'evaluation'], group: 'evaluations' },
  { verb: 'GET', path: '/runs/{runId}/evaluations/{evaluationId}/grid', method: 'getSampleGrid', answer: 'image', group: 'evaluations' },
  { verb: 'GET', path: '/runs/{runId}/checkpoints', method: 'listCheckpoints', answer: 'json', group: 'checkpoints' },
  { verb: 'POST', path: '/runs/{runId}/checkpoints/verify', method: 'verifyCheckpoints', answer: 'json', group: 'checkpoints' },
  { verb: 'GET', path: '/runs/{runId}/export', method: 'exportRun', answer: 'download', group: 'checkpoints' },
  { verb: 'POST', path: '/specs/validate', method: 'validateRunSpec', answer: 'json', group: 'runs' },
  { verb: 'GET', path: '/assets', method: 'listAssets', answer: 'json', group: 'assets' },
  { verb: 'GET', path: '/assets/{manifestSha256}', method: 'findAssets', answer: 'json', group: 'assets' },
  { verb: 'POST', path: '/assets/{manifestSha256}/remove', method: 'removeAssets', answer: 'json', group: 'assets' },
  { verb: 'GET', path: '/workers', method: 'listWorkers', answer: 'json', group: 'cluster' },
  { verb: 'GET', path: '/cluster', method: 'getCluster', answer: 'json', group: 'cluster' },
];

/** JSON names of the request fields that stand in the path. */
export function pathFields({ path }: Route): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
}

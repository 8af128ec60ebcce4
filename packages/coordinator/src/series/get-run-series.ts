import type { CallContext, GetRunSeriesRequest, GetRunSeriesResponseSchema, MessageInitShape } from '@dd2/proto';
import { wantsJson, withJson } from '../http/prepared-json.js';
import type { RunHistory } from '../run-history.js';
import type { SeriesRun } from './series-library.js';
import type { SeriesReader } from './series-reader.js';
import { parseSeriesRequest } from './series-request.js';

/** Answers GetRunSeries; over HTTP with JSON that is complete when it comes from the thread. @throws {Dd2Error} INVALID_ARGUMENT */
export async function getRunSeries(series: SeriesReader, run: RunHistory, request: GetRunSeriesRequest, context: CallContext): Promise<MessageInitShape<typeof GetRunSeriesResponseSchema>> {
  const query = parseSeriesRequest(request);
  const asked = seriesRun(run);
  if (!wantsJson(context)) return series.answer(asked, query);
  return withJson({ bytes: await series.compressedJson(asked, query), encoding: 'gzip' }, {});
}

/** What the series need to know of a run. */
export function seriesRun({ identity: { runId }, folder, state }: Pick<RunHistory, 'identity' | 'folder' | 'state'>): SeriesRun {
  return { runId, path: folder.file('metrics.jsonl'), active: state === 'running' || state === 'pausing' };
}

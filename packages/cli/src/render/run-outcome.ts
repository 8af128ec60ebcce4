import { RunState, type Run } from '@dd2/proto';
import { formatCount, formatFid } from './format.js';

/** RUNNING -> running */
export const stateName = (state: RunState): string => (RunState[state] ?? 'unknown').toLowerCase();

/** `done after 41 of 41 updates, FID 6.02 (5,000)` */
export function describeOutcome({ state, update, totalUpdates, lastFid, fidSamples, error }: Run): string {
  const what = state === RunState.COMPLETED ? 'done' : stateName(state);
  const fid = lastFid === undefined ? '' : `, FID ${formatFid(lastFid, fidSamples)}`;
  const why = error ? `: ${error.message}` : '';
  return `${what} after ${formatCount(update)} of ${formatCount(totalUpdates)} updates${fid}${why}`;
}

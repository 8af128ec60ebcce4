import { Dd2Error } from '@dd2/core';
import { fromErrorDetail, RunState, type Run } from '@dd2/proto';
import { ENDED } from './exit-codes.js';
import type { LiveOutput } from './render/live-output.js';
import { RunView } from './render/run-view.js';
import { dateOf } from './render/time.js';
import { findRun, type RunClient } from './run-client.js';
import { runEvents } from './run-events.js';

export interface FollowOptions {
  readonly output: LiveOutput;
  /** events before this moment are not shown: they belong to an earlier attempt */
  readonly shownFrom?: Date | undefined;
  /** sequence number of the last event that need not be shown */
  readonly since?: bigint | undefined;
  /** stops watching; the run goes on */
  readonly signal?: AbortSignal | undefined;
}

/** Sequence number of the first event of every run, which says that it was submitted. */
export const SUBMITTED = 1n;

/**
 * Shows a run's events until it ends. A connection that is lost is taken up again where it broke.
 * @returns the run as it ended
 * @throws {Dd2Error} CANCELLED when `signal` aborts, UNAVAILABLE when the coordinator stays away
 */
export async function followRun(client: RunClient, runId: string, { output, shownFrom, since, signal }: FollowOptions): Promise<Run> {
  const view = new RunView();
  const onLost = (reason: string): void => output.line(`connection lost (${reason}); trying again`);
  try {
    for await (const event of runEvents(client, runId, { since, signal, onLost })) {
      if (shownFrom !== undefined && event.at !== undefined && dateOf(event.at) < shownFrom) continue;
      const { lines, status } = view.take(event);
      for (const line of lines) output.line(line);
      output.status(status);
    }
  } finally {
    output.clear();
  }
  return findRun(client, runId);
}

/**
 * Returns for a run that is done or paused.
 * @throws {Dd2Error} what a run failed with, or CANCELLED; its detail `ended` says that it is how a run ended
 */
export function requireNotFailed({ runId, state, error }: Run): void {
  if (state === RunState.CANCELLED) throw new Dd2Error('CANCELLED', `run ${runId} was cancelled`, { details: { run: runId, [ENDED]: 'cancelled' } });
  if (state !== RunState.FAILED) return;
  const details = { run: runId, [ENDED]: 'failed' };
  if (error === undefined) throw new Dd2Error('RUN_FAILED', `run ${runId} failed`, { details });
  throw fromErrorDetail(error, details);
}

import { Dd2Error } from '@dd2/core';
import { fromErrorDetail, fromStatus, RunState, type Run, type RunEvent } from '@dd2/proto';
import type { LiveOutput } from './render/live-output.js';
import { RunView } from './render/run-view.js';
import type { RunClient } from './run-client.js';

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
export async function followRun(client: RunClient, runId: string, { output, shownFrom, since = 0n, signal }: FollowOptions): Promise<Run> {
  const view = new RunView();
  let last = since;
  try {
    for (let lost = false; ; lost = true) {
      if (lost) await client.ready(60_000);
      try {
        for await (const { event } of client.watchRun({ runId, since: last }, { signal })) {
          if (event === undefined) continue;
          last = event.sequence;
          if (shownFrom !== undefined && toDate(event) < shownFrom) continue;
          const { lines, status } = view.take(event);
          for (const line of lines) output.line(line);
          output.status(status);
        }
        break;
      } catch (thrown) {
        if (signal?.aborted === true) throw new Dd2Error('CANCELLED', 'no longer watching', { cause: thrown });
        const error = fromStatus(thrown);
        if (!error.retryable) throw error;
        output.line(`connection lost (${error.message}); trying again`);
      }
    }
  } finally {
    output.clear();
  }
  const { run } = await client.getRun({ runId });
  if (run === undefined) throw new Dd2Error('PROTOCOL', 'the coordinator answered without the run', { details: { run: runId } });
  return run;
}

/** @throws {Dd2Error} what a run failed with, or CANCELLED; returns for one that is done or paused */
export function requireNotFailed(run: Run): void {
  if (run.state === RunState.FAILED) throw run.error ? fromErrorDetail(run.error) : new Dd2Error('RUN_FAILED', `run ${run.runId} failed`);
  if (run.state === RunState.CANCELLED) throw new Dd2Error('CANCELLED', `run ${run.runId} was cancelled`);
}

function toDate({ at }: RunEvent): Date {
  return new Date(at === undefined ? 0 : Number(at.seconds) * 1_000 + at.nanos / 1e6);
}

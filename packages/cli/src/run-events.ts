import { Dd2Error } from '@dd2/core';
import { fromStatus, type RunEvent } from '@dd2/proto';
import type { RunClient } from './run-client.js';

export interface RunEventsOptions {
  /** sequence number of the last event that is known */
  readonly since?: bigint | undefined;
  /** stops watching; the run goes on */
  readonly signal?: AbortSignal | undefined;
  /** called when the connection is lost and is going to be taken up again */
  readonly onLost?: (reason: string) => void;
}

const RECONNECT_MS = 60_000;

/**
 * The events of a run, those that are over first, until it ends. A connection that is lost is taken up again where it broke.
 * @throws {Dd2Error} CANCELLED when `signal` aborts, UNAVAILABLE when the coordinator stays away
 */
export async function* runEvents(client: RunClient, runId: string, { since = 0n, signal, onLost }: RunEventsOptions = {}): AsyncGenerator<RunEvent, void, undefined> {
  let last = since;
  for (let lost = false; ; lost = true) {
    if (lost) await client.ready(RECONNECT_MS);
    try {
      for await (const { event } of client.watchRun({ runId, since: last }, { signal })) {
        if (event === undefined) continue;
        last = event.sequence;
        yield event;
      }
      return;
    } catch (thrown) {
      if (signal?.aborted === true) throw new Dd2Error('CANCELLED', 'no longer watching', { cause: thrown });
      const error = fromStatus(thrown);
      if (!error.retryable) throw error;
      onLost?.(error.message);
    }
  }
}

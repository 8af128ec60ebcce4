import { Dd2Error } from '@dd2/core';
import type { RunEvent } from '@dd2/proto';
import { listenForInterrupt } from '../cluster/interrupt.js';
import { INTERRUPTED } from '../exit-codes.js';
import { requireNotFailed } from '../follow-run.js';
import { eventLine } from '../render/event-line.js';
import { LiveOutput } from '../render/live-output.js';
import { plainEvent, plainRun } from '../render/plain.js';
import { describeOutcome } from '../render/run-outcome.js';
import { RunView } from '../render/run-view.js';
import { hasUnicode, paintFor, type Terminal } from '../render/terminal.js';
import { findRun, ifKnown, type RunClient } from '../run-client.js';
import { runEvents } from '../run-events.js';
import { WatchView, type Screen } from './watch-view.js';

export interface WatchOptions {
  /** a line of JSON per event instead of a view */
  readonly json: boolean;
  readonly terminal?: Terminal & { on?(event: 'resize', listener: () => void): unknown; off?(event: 'resize', listener: () => void): unknown };
}

/** Events from before that are shown on a terminal. */
const EARLIER = 8;
/** Where there is no terminal to ask. */
const PLAIN_COLUMNS = 80;
const PLAIN_ROWS = 16;

/**
 * Shows a run until it ends, and how it ended. SIGINT stops watching, with the exit code of an interrupt.
 * @throws {Dd2Error} what the run failed with, or CANCELLED
 */
export async function watchRun(client: RunClient, runId: string, { json, terminal = process.stdout }: WatchOptions): Promise<void> {
  const interrupt = listenForInterrupt(() => process.exit(INTERRUPTED));
  try {
    const run = await (json ? printEvents(client, runId, terminal, interrupt.signal) : showRun(client, runId, terminal, interrupt.signal));
    requireNotFailed(run);
  } catch (thrown) {
    if (!interrupt.signal.aborted || !(thrown instanceof Dd2Error) || thrown.code !== 'CANCELLED') throw thrown;
    if (!json) terminal.write(`no longer watching; the run goes on: \`dd2 run watch ${runId}\`\n`);
    process.exitCode = INTERRUPTED;
  } finally {
    interrupt.dispose();
  }
}

async function printEvents(client: RunClient, runId: string, terminal: Terminal, signal: AbortSignal) {
  for await (const event of runEvents(client, runId, { signal })) terminal.write(`${JSON.stringify({ event: plainEvent(event) })}\n`);
  const run = await findRun(client, runId);
  terminal.write(`${JSON.stringify({ run: plainRun(run) })}\n`);
  return run;
}

async function showRun(client: RunClient, runId: string, terminal: NonNullable<WatchOptions['terminal']>, signal: AbortSignal) {
  const live = terminal.isTTY === true;
  const unicode = hasUnicode();
  const paint = paintFor(terminal);
  const screen = (): Screen => ({ columns: terminal.columns ?? PLAIN_COLUMNS, rows: terminal.rows ?? 24, unicode, paint });
  const output = new LiveOutput(terminal);
  const ask = async () => Promise.all([findRun(client, runId), client.listEvaluations({ runId }).then(({ evaluations }) => evaluations)]);
  const view = new WatchView(...(await ask()));
  const lines = new RunView();
  const draw = (): void => output.status(view.status(screen()));
  terminal.on?.('resize', draw);
  try {
    const earlier = live ? await lastEvents(client, runId) : [];
    for (const event of earlier) output.line(eventLine(event, paint));
    if (live) draw();
    for await (const event of runEvents(client, runId, { since: earlier.at(-1)?.sequence, signal, onLost: (reason) => output.line(`connection lost (${reason}); trying again`) })) {
      view.take(event);
      if (event.message !== '') output.line(eventLine(event, paint));
      // What is measured is looked up once there is something new, not for every event of the past.
      if (live && event.kind === 'evaluation' && (event.fidUpdate ?? event.update) >= view.measuredUntil) view.refresh(...(await ask()));
      if (live) draw();
      else output.status(lines.take(event).status);
    }
  } finally {
    terminal.off?.('resize', draw);
    output.clear();
  }
  const [run, evaluations] = await ask();
  view.refresh(run, evaluations);
  const curve = view.curve({ ...screen(), rows: PLAIN_ROWS });
  if (curve.length > 0) output.line(`\n${curve.join('\n')}\n`);
  output.line(describeOutcome(run));
  return run;
}

/** The end of what happened so far, for context; everything where the coordinator cannot tell. */
async function lastEvents(client: RunClient, runId: string): Promise<readonly RunEvent[]> {
  return (await ifKnown(client.listRunEvents({ runId, limit: EARLIER })))?.events ?? [];
}

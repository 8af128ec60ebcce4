import { Dd2Error, phaseRanges, schedule, type RunSpec } from '@dd2/core';
import type { Logger } from 'pino';
import { anotherAttempt } from './another-attempt.js';
import type { ManagedRun } from './managed-run.js';
import { Run } from './run.js';
import { RunContext } from './run-context.js';
import type { RunEvent } from './run-history.js';
import { specSha256 } from './submission.js';

/** Advances a run until it is done, paused, cancelled or failed. A job that comes twice finds that, and nothing to do. */
export async function advanceRun(run: ManagedRun, lastAttempt: boolean): Promise<void> {
  const { history, host } = run;
  if (run.active) return run.active.over;
  if (history.state !== 'queued') return;
  let end = (): void => undefined;
  const over = new Promise<void>((resolve) => (end = resolve));
  try {
    // A run that is paused and resumed before this job has ended goes on in it.
    while (history.state === 'queued' && run.active?.cancel.signal.aborted !== true) {
      host.closing.throwIfAborted(); // the job stays in the queue, for the next coordinator
      run.active = { pause: new AbortController(), cancel: new AbortController(), over };
      await advanceToEnd(run, run.active);
    }
  } catch (thrown) {
    throw await recordFailure(run, Dd2Error.from(thrown, 'RUN_FAILED'), lastAttempt);
  } finally {
    delete run.active;
    history.waitingFor = '';
    end();
  }
}

async function advanceToEnd(managed: ManagedRun, active: NonNullable<ManagedRun['active']>): Promise<void> {
  const { history, spec, evaluations, host } = managed;
  const { pause, cancel } = active;
  const context = await managed.openContext(RunContext);
  active.namespace = context.namespace;
  try {
    cancel.signal.throwIfAborted();
    if (pause.signal.aborted) return;
    const started = await history.recordIf((state) => (state === 'queued' ? ['started', `the run starts with ${describePhases(spec)}`, { state: 'running' }] : undefined));
    if (!started) return; // it was paused or cancelled before it began
    const run = new Run(context, evaluations, specSha256(spec), host.epoch);
    listen(run, managed, host.logger.child({ run: managed.runId }));
    const { untilUpdate } = managed.place; // it may have been resumed with another one while it was being opened
    const completed = await run.advance({ pause: pause.signal, cancel: cancel.signal, ...(untilUpdate === undefined ? {} : { until: untilUpdate }) });
    await history.recordIf((state) => {
      if (completed) return ['completed', 'all updates are done', { state: 'completed' }];
      if (host.closing.aborted && state !== 'pausing') return ['queued', `the coordinator stops after ${history.update} updates; the run goes on when it is back`, { state: 'queued' }];
      return ['paused', `paused after ${history.update} updates`, { state: 'paused' }];
    });
  } finally {
    await managed.closeContext(context);
  }
}

/** Records how a run failed, and returns the error that tells the queue whether to try again. */
async function recordFailure(managed: ManagedRun, error: Dd2Error, lastAttempt: boolean): Promise<Dd2Error> {
  const { history, runId, active, host } = managed;
  const logger = host.logger.child({ run: runId });
  /** what became of the run before it failed stands */
  const record = (decide: (state: 'queued' | 'running' | 'pausing') => RunEvent): Promise<unknown> =>
    history
      .recordIf((state) => (state === 'queued' || state === 'running' || state === 'pausing' ? decide(state) : undefined))
      .catch((unwritten: unknown) => logger.error({ err: unwritten }, 'the end of the run could not be written to its history'));
  if (error.code === 'FENCED') return error; // the run is another coordinator's now, and so is its history
  if (history.state === 'queued' && host.closing.aborted) return error;
  if (active?.cancel.signal.aborted) {
    await record(() => ['cancelled', error.message, { state: 'cancelled' }]);
    return error;
  }
  logger.error({ err: error, ...error.details }, 'the run failed');
  const again = anotherAttempt(error, lastAttempt && history.update <= managed.failedAt);
  managed.failedAt = history.update;
  await record((state) => {
    if (!again) return ['failed', error.message, { state: 'failed', error }];
    if (state === 'pausing') return ['paused', `paused after a failure: ${error.message}`, { state: 'paused' }];
    return ['queued', `the run failed and is tried again: ${error.message}`, { state: 'queued' }];
  });
  return again && history.state === 'queued' ? again : new Dd2Error('RUN_FAILED', error.message, { cause: error });
}

function listen(run: Run, managed: ManagedRun, logger: Logger): void {
  const { history, host } = managed;
  run.on('update', (metrics) => {
    history.progress(metrics);
    host.activity?.updated(managed.runId, metrics);
  });
  run.on('phase', (phase, update) => managed.note('phase', `phase ${phase} starts at update ${update}`, { phase }));
  run.on('resumed', (update) => {
    history.update = update; // now: when the event is written, updates may have followed
    managed.note('resumed', `continues after update ${update}`, { update });
  });
  run.on('checkpoint', (update, seconds) => {
    managed.note('checkpoint', `checkpoint ${update} is complete`);
    host.activity?.checkpointed(managed.runId, seconds);
  });
  run.on('planned', (totalUpdates) => (history.totalUpdates = totalUpdates));
  run.on('health', (message) => managed.note('health', message));
  run.on('ended', (update, reason) => {
    history.update = update;
    managed.note('health', `the run ends with update ${update}: ${reason}`, { update });
  });
  run.on('requested', () => host.reconcileSoon());
  run.on('trouble', (what, error) => {
    logger.warn({ err: error }, what);
    managed.note('trouble', `${what}: ${error.message}`);
  });
}

function describePhases(spec: RunSpec): string {
  const { guidance, generator } = spec.phases.distill.cycle;
  const phases = phaseRanges(spec).map(({ phase, from, to }) => `${phase} ${to - from}`);
  return `${phases.join(', ')} updates; cycle ${guidance} guidance : ${generator} generator; ${schedule(0, spec).microBatches} micro-batches`;
}

import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Dd2Error } from '@dd2/core';
import { RunState } from '@dd2/proto';
import { submit } from '../distil.js';
import { formatCount } from '../render/format.js';
import type { LiveOutput } from '../render/live-output.js';
import { stateName } from '../render/run-outcome.js';
import type { SpecFile } from '../spec-file.js';
import { ChaosCluster } from './chaos-cluster.js';
import { CommitWatch } from './commit-watch.js';
import { faultPlan, type FaultTarget } from './fault-plan.js';
import { RecoveryLog, type FaultRecord, type RecoverySummary } from './recovery.js';
import { differencesOf, readOutcome, type RunOutcome } from './run-outcome.js';

export interface KillLoopOptions {
  readonly specFile: SpecFile;
  readonly minutes: number;
  readonly mtbfSeconds: number;
  readonly seed: number;
  readonly targets: readonly FaultTarget[];
  readonly workers: number;
  /** holds both clusters */
  readonly dataDir: string;
  readonly output: LiveOutput;
  readonly signal: AbortSignal;
}

/** A run of the loop. */
export interface LoopRun {
  readonly runId: string;
  /** of its run spec */
  readonly seed: number;
  /** why it is none that completed */
  readonly lost?: string | undefined;
  /** in what it differs from the undisturbed run of the same spec */
  readonly differences: readonly string[];
}

/** What `--json` writes. */
export interface KillLoopReport {
  readonly options: { readonly minutes: number; readonly mtbfSeconds: number; readonly seed: number; readonly targets: readonly FaultTarget[]; readonly workers: number; readonly store: 'redis' | 'embedded' };
  /** no run was lost, and every one equals the undisturbed run of its spec */
  readonly identical: boolean;
  readonly runs: readonly LoopRun[];
  readonly recovery: readonly RecoverySummary[];
  readonly faults: readonly FaultRecord[];
  /** processes that ended although nobody had killed them */
  readonly surprises: readonly string[];
}

/** Run specs that take turns, told apart by their seeds: each has one undisturbed run to be compared with. */
const SPECS = 3;
/** One run is advanced, the next waits in the queue. */
const SUBMITTED_AHEAD = 2;
const LOOK_MS = 200;
/** A run that commits nothing for so long, while nobody disturbs it, is lost. */
const STUCK_MS = 120_000;

/** Advances runs on a real cluster while processes of it die, then runs the same specs undisturbed and compares. */
export async function killLoop(options: KillLoopOptions): Promise<KillLoopReport> {
  const { minutes, mtbfSeconds, seed, targets, workers, dataDir, output, signal } = options;
  const redis = targets.includes('store');
  const surprises: string[] = [];
  const onSurprise = (name: string, reason: string): void => {
    surprises.push(`${name} ended by itself: ${reason}`);
    output.line(surprises.at(-1) ?? '');
  };
  const start = (name: string): Promise<ChaosCluster> => ChaosCluster.start({ dataDir: path.join(dataDir, name), workers, execution: options.specFile.spec.execution, redis, onSurprise });

  const recovery = new RecoveryLog((fault) => output.line(describeFault(fault)));
  const disturbed = await withCluster(await start('disturbed'), (cluster) => disturb(cluster, options, recovery));
  for (const fault of recovery.open) output.line(describeFault(fault));

  const seeds = [...new Set(disturbed.map((run) => run.seed))];
  output.line(`the time is over; the ${seeds.length === 1 ? 'spec runs' : `${seeds.length} specs run`} once more, undisturbed`);
  const undisturbed = await withCluster(await start('undisturbed'), async (cluster) => {
    const rest = [...seeds];
    return feed(cluster, options, () => rest.shift(), () => undefined, signal);
  });

  const references = new Map<number, RunOutcome>();
  for (const run of undisturbed) {
    if (run.lost !== undefined) throw new Dd2Error('RUN_FAILED', `the undisturbed run ${run.runId} did not complete: ${run.lost}`, { remedy: `Look at the logs in ${path.join(dataDir, 'undisturbed', 'logs')}` });
    references.set(run.seed, await readOutcome(path.join(dataDir, 'undisturbed'), run.runId));
  }
  const runs: LoopRun[] = [];
  for (const run of disturbed) {
    const reference = references.get(run.seed);
    const outcome = run.lost === undefined && reference ? differencesOf(await readOutcome(path.join(dataDir, 'disturbed'), run.runId), reference) : [];
    runs.push({ ...run, differences: outcome });
  }
  return {
    options: { minutes, mtbfSeconds, seed, targets, workers, store: redis ? 'redis' : 'embedded' },
    identical: runs.length > 0 && runs.every(({ lost, differences }) => lost === undefined && differences.length === 0),
    runs,
    recovery: recovery.summaries(),
    faults: recovery.faults,
    surprises,
  };
}

/** Submits runs one after the other and lets the planned faults happen from the first commit on, until the time is over. */
async function disturb(cluster: ChaosCluster, options: KillLoopOptions, recovery: RecoveryLog): Promise<EndedRun[]> {
  const { minutes, mtbfSeconds, seed, targets, specFile, output, signal } = options;
  const over = new AbortController();
  let started: number | undefined;
  let striking: Promise<void> = Promise.resolve();
  const strikeUntilOver = async (began: number, poll: () => void): Promise<void> => {
    for (const fault of faultPlan({ seed, mtbfMs: 1_000 * mtbfSeconds, targets })) {
      await delay(Math.max(0, began + fault.atMs - performance.now()), undefined, { signal: over.signal }).catch(() => undefined);
      if (over.signal.aborted) return;
      poll(); // what was committed before the fault is no recovery from it
      const atSeconds = (performance.now() - began) / 1_000;
      recovery.struck({ atSeconds, target: fault.target, kind: fault.kind, what: await cluster.strike(fault) });
    }
  };
  const timers: NodeJS.Timeout[] = [];
  let submitted = 0;
  try {
    return await feed(
      cluster,
      options,
      () => (over.signal.aborted ? undefined : specFile.spec.seed + (submitted++ % SPECS)),
      (poll) => {
        recovery.committed();
        if (started !== undefined) return;
        started = performance.now();
        timers.push(setTimeout(() => over.abort(), 60_000 * minutes));
        striking = strikeUntilOver(started, poll);
        output.line(`the first update is committed; faults come every ${mtbfSeconds} s on average`);
      },
      signal,
    );
  } finally {
    over.abort();
    timers.forEach(clearTimeout);
    await striking;
  }
}

interface EndedRun {
  readonly runId: string;
  readonly seed: number;
  readonly lost?: string | undefined;
}

/**
 * Keeps runs submitted while `next` names another seed, and waits until all have ended.
 * @param onCommit called for every commit that is seen; `poll` looks for more at once
 */
async function feed(cluster: ChaosCluster, { specFile, output }: KillLoopOptions, next: () => number | undefined, onCommit: (poll: () => void) => void, signal: AbortSignal): Promise<EndedRun[]> {
  const open: { readonly runId: string; readonly seed: number }[] = [];
  const ended: EndedRun[] = [];
  const watch = new CommitWatch(cluster.dataDir, () => onCommit(() => watch.poll()));
  try {
    for (let count = 0; ; ) {
      while (open.length < SUBMITTED_AHEAD) {
        const seed = next();
        if (seed === undefined) break;
        const key = `chaos-${count++}`;
        const { runId } = await cluster.ask((client, call) => submit(client, { ...specFile, overrides: [...specFile.overrides, `seed=${seed}`] }, { key }, call), signal);
        open.push({ runId, seed });
        watch.add(runId);
      }
      const [first] = open;
      if (!first) return ended;
      const { run } = await cluster.ask((client, call) => client.getRun({ runId: first.runId }, call), signal);
      if (run && isOver(run.state)) {
        watch.remove(first.runId);
        open.shift();
        ended.push({ ...first, lost: run.state === RunState.COMPLETED ? undefined : `it is ${stateName(run.state)}${run.error ? `: ${run.error.message}` : ''}` });
        output.line(`run ${first.runId} (seed ${first.seed}) is ${stateName(run.state)}`);
      } else {
        if (run) output.status(`run ${ended.length + 1} (seed ${first.seed}): ${run.phase} ${formatCount(run.update)}/${formatCount(run.totalUpdates)}`);
        if (watch.idleMs > STUCK_MS) return [...ended, ...open.map((lost) => ({ ...lost, lost: `nothing was committed for ${STUCK_MS / 1_000} s` }))];
        await delay(LOOK_MS, undefined, { signal });
      }
    }
  } finally {
    watch.close();
    output.clear();
  }
}

/** Closes the cluster at the end, and leaves no process of it behind when this process exits before. */
async function withCluster<T>(cluster: ChaosCluster, use: (cluster: ChaosCluster) => Promise<T>): Promise<T> {
  const kill = (): void => cluster.killNow();
  process.once('exit', kill);
  try {
    return await use(cluster);
  } finally {
    await cluster.close();
    process.off('exit', kill);
  }
}

const isOver = (state: RunState): boolean => [RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED, RunState.PAUSED].includes(state);

/** `  12.3 s  worker 1 killed; next commit after 0.31 s` */
function describeFault({ atSeconds, what, recoverySeconds }: FaultRecord): string {
  return `${atSeconds.toFixed(1).padStart(6)} s  ${what}; ${recoverySeconds === undefined ? 'no commit was due any more' : `next commit after ${recoverySeconds.toFixed(2)} s`}`;
}

import { signal, type ReadonlySignal } from '@preact/signals';
import { ApiError, cancelRun, listRuns, pauseRun, resumeRun, type Run } from '../api/client.js';
import { tellAnswer, watchRuns } from '../api/live.js';
import type { RunAction } from './run-states.js';

/** Changes of one moment are shown at once: at the start the stream tells every run. */
const GATHER_MS = 60;

const known = signal<ReadonlyMap<string, Run>>(new Map());
const loaded = signal(false);
const problem = signal<ApiError | undefined>(undefined);
const underWay = signal<ReadonlyMap<string, RunAction>>(new Map());

/** All runs by id, live; empty until they are loaded. */
export const runs: ReadonlySignal<ReadonlyMap<string, Run>> = known;
export const runsLoaded: ReadonlySignal<boolean> = loaded;
/** why the runs could not be loaded */
export const runsProblem: ReadonlySignal<ApiError | undefined> = problem;
/** what was asked of a run and is not answered yet */
export const actionsUnderWay: ReadonlySignal<ReadonlyMap<string, RunAction>> = underWay;

/** Follows all runs until the returned function is called. */
export function startRuns(): () => void {
  const waiting = new Map<string, Run>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const show = (): void => {
    timer = undefined;
    known.value = new Map([...known.value, ...waiting]);
    waiting.clear();
  };
  const stop = watchRuns((run) => {
    const before = waiting.get(run.runId) ?? known.peek().get(run.runId);
    if (before && isOlder(run, before)) return;
    waiting.set(run.runId, run);
    timer ??= setTimeout(show, GATHER_MS);
  });
  void loadRuns();
  return () => {
    stop();
    clearTimeout(timer);
    known.value = new Map();
    loaded.value = false;
    problem.value = undefined;
  };
}

/** Loads the list as it is now; the stream says nothing when there is no run. */
export async function loadRuns(): Promise<void> {
  try {
    const list = await listRuns();
    const next = new Map(known.value);
    for (const run of list) {
      const before = next.get(run.runId);
      if (!before || !isOlder(run, before)) next.set(run.runId, run);
    }
    known.value = next;
    loaded.value = true;
    problem.value = undefined;
  } catch (thrown) {
    problem.value = ApiError.from(thrown);
  }
}

/** Answers can overtake the stream and the other way round. */
function isOlder(run: Run, before: Run): boolean {
  return Date.parse(run.updatedAt) < Date.parse(before.updatedAt);
}

const requests: Readonly<Record<RunAction, (runId: string) => Promise<Run>>> = { pause: pauseRun, resume: resumeRun, cancel: cancelRun };

/** Asks for an action; until the answer is there, `actionsUnderWay` has it. @throws {ApiError} */
export async function act(runId: string, action: RunAction): Promise<void> {
  underWay.value = new Map([...underWay.value, [runId, action]]);
  try {
    tellAnswer(await requests[action](runId));
    // Shown with the answer, not after what gathers changes.
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
  } finally {
    underWay.value = new Map([...underWay.value].filter(([id]) => id !== runId));
  }
}

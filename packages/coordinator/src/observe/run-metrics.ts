import type { RunEvaluations } from '../run-evaluations.js';
import type { RunHistory } from '../run-history.js';
import { counter, gauge, type MetricFamily, type Sample } from './metric-family.js';
import { updateParts, type ObservedRun, type UpdateCounts } from './run-activity.js';

/** A run that has series of its own. */
export interface ShownRun {
  readonly history: RunHistory;
  readonly evaluations: Pick<RunEvaluations, 'best'>;
  /** what this coordinator has seen of it, if anything */
  readonly observed: ObservedRun | undefined;
}

type Runs = readonly ShownRun[];
const labels = ['run', 'name'] as const;
const ofNetwork = [...labels, 'network'] as const;
const ofUpdates = [...labels, 'phase', 'network'] as const;

const byRun = (value: (run: ShownRun) => number | undefined) => (runs: Runs): Sample[] =>
  runs.flatMap((run): Sample[] => {
    const found = value(run);
    return found === undefined ? [] : [[who(run), found]];
  });

const byUpdates = (samples: (counts: UpdateCounts) => readonly Sample[]) => (runs: Runs): Sample[] =>
  runs.flatMap((run) =>
    [...(run.observed?.updates.values() ?? [])].flatMap((counts) => samples(counts).map(([more, value]): Sample => [{ ...who(run), phase: counts.phase, network: counts.network, ...more }, value])),
  );

const byNetwork = (samples: (last: NonNullable<ReturnType<ObservedRun['last']['get']>>) => readonly Sample[]) => (runs: Runs): Sample[] =>
  runs.flatMap((run) => [...(run.observed?.last ?? [])].flatMap(([network, last]) => samples(last).map(([more, value]): Sample => [{ ...who(run), network, ...more }, value])));

/** Where each run stands, what its last updates found, and where their time went. */
export const runMetrics: readonly MetricFamily<Runs>[] = [
  gauge('dd2_run_info', 'Always 1; the state and the phase of a run', [...labels, 'state', 'phase'], (runs) =>
    runs.map((run) => [{ ...who(run), state: run.history.state, phase: run.history.phase }, 1]),
  ),
  gauge('dd2_run_updates_done', 'Updates of the whole run that are over', labels, byRun(({ history }) => history.update)),
  gauge('dd2_run_updates_planned', 'Updates that the whole run has', labels, byRun(({ history }) => history.totalUpdates)),
  gauge('dd2_run_progress_ratio', 'Share of its updates that a run has done, from 0 to 1', labels, byRun(({ history }) => history.update / Math.max(1, history.totalUpdates))),
  gauge('dd2_run_generator_updates_done', 'Generator updates of the phase distill that are over', labels, byRun(({ history }) => history.generatorUpdates)),
  gauge('dd2_run_updates_per_second', 'Recent rate of a run that is being advanced', labels, byRun(({ history }) => history.updatesPerSecond)),
  gauge('dd2_run_eta_seconds', 'Time to the end of the run at that rate', labels, byRun(({ history }) => history.etaSeconds)),
  gauge('dd2_run_waiting', 'Whether the run is being advanced and waits for something, such as workers', labels, byRun(({ history }) => (history.waitingFor === '' ? 0 : 1))),
  gauge('dd2_run_fid', 'FID of the newest checkpoint that is measured', labels, byRun(({ history }) => history.lastFid)),
  gauge('dd2_run_fid_samples', 'Samples behind dd2_run_fid: FID is biased by their number', labels, byRun(({ history }) => (history.lastFid === undefined ? undefined : history.fidSamples))),
  gauge('dd2_run_best_fid', 'Lowest FID of the periodic evaluations so far', labels, byRun(({ evaluations }) => evaluations.best?.fid)),
  gauge('dd2_run_best_fid_samples', 'Samples behind dd2_run_best_fid', labels, byRun(({ evaluations }) => evaluations.best?.samples)),
  gauge('dd2_run_best_fid_update', 'Update of the checkpoint that dd2_run_best_fid was measured on', labels, byRun(({ evaluations }) => evaluations.best?.update)),
  gauge('dd2_run_skipped_updates', 'Updates of the whole run whose gradient was not finite', labels, byRun(({ observed }) => observed?.skipped)),
  gauge('dd2_run_loss', 'Metrics of the last update of each network: its loss, and others by name', [...ofNetwork, 'loss'], byNetwork(({ losses }) => Object.entries(losses).map(([loss, value]) => [{ loss }, value]))),
  gauge('dd2_run_gradient_norm', 'Norm of the mean gradient of the last update of each network, before clipping', ofNetwork, byNetwork(({ gradientNorm }) => [[{}, gradientNorm]])),
  gauge('dd2_run_learning_rate', 'Learning rate of the last update of each network', ofNetwork, byNetwork(({ learningRate }) => [[{}, learningRate]])),
  counter(
    'dd2_run_updates_total',
    'Updates that this coordinator has carried out: committed, or skipped because their gradient was not finite',
    [...ofUpdates, 'outcome'],
    byUpdates(({ committed, skipped }) => [[{ outcome: 'committed' }, committed], [{ outcome: 'skipped' }, skipped]]),
  ),
  counter('dd2_run_samples_total', 'Samples that those updates were computed from', ofUpdates, byUpdates(({ samples }) => [[{}, samples]])),
  counter(
    'dd2_run_update_seconds_total',
    'Where the wall-clock time of those updates went: compute on the busiest worker, transfer to and from workers, reduce, optimize, publish',
    [...ofUpdates, 'part'],
    byUpdates(({ partSeconds }) => updateParts.map((part) => [{ part }, partSeconds[part]])),
  ),
  counter('dd2_run_checkpoints_total', 'Checkpoints that this coordinator has written', labels, byRun(({ observed }) => observed?.checkpoints)),
];

function who({ history: { identity } }: ShownRun): { run: string; name: string } {
  return { run: identity.runId, name: identity.name };
}

import type { VNode } from 'preact';
import { isActive } from '../api/live.js';
import { EmptyState } from '../ui/empty-state.js';
import { problemOf } from '../ui/error-state.js';
import { Spinner } from '../ui/spinner.js';
import { formatCount } from '../view/format.js';
import type { RunData } from './run-data.js';
import type { SpecFacts } from './spec-facts.js';

/** Why there is no FID, and when there will be. */
export function NoFid({ data, facts: { tuneUpdates } }: { readonly data: RunData; readonly facts: SpecFacts }): VNode {
  const run = data.run.value;
  const first = tuneUpdates === undefined ? 'after the phase tune' : `after the phase tune, at update ${formatCount(tuneUpdates)}`;
  if (run?.state === 'RUN_STATE_QUEUED') return <EmptyState title="The run has not started">It is measured for the first time {first}.</EmptyState>;
  const failed = (data.evaluations.value ?? []).filter(({ state }) => state === 'EVALUATION_STATE_FAILED');
  const isMeasuring = (data.evaluations.value ?? []).some(({ state }) => state === 'EVALUATION_STATE_RUNNING' || state === 'EVALUATION_STATE_QUEUED');
  if (isMeasuring) return <EmptyState title="The first FID is being measured">It appears here by itself.</EmptyState>;
  if (failed.length > 0) {
    const error = failed.at(-1)?.error;
    return (
      <EmptyState title="The evaluations were given up">
        {error && (
          <p>
            {problemOf(error)} <code>{error.code}</code>
          </p>
        )}
      </EmptyState>
    );
  }
  if (run && isActive(run)) return <EmptyState title="No FID yet">The first one comes {first}. It appears here by itself.</EmptyState>;
  return <EmptyState title="No FID was measured">The run was to be measured for the first time {first}. “Evaluate” measures its newest checkpoint.</EmptyState>;
}

/** Why there is no sample grid. */
export function NoGrids({ data }: { readonly data: RunData }): VNode {
  if (data.measurementProblem.value) return <EmptyState title="No sample grids">The measurements of this run could not be loaded.</EmptyState>;
  if (data.evaluations.value === undefined) return <Spinner label="Loading the measurements" />;
  if (data.points.value.length === 0) return <EmptyState title="No sample grids yet">Each periodic evaluation makes one.</EmptyState>;
  return <EmptyState title="No sample grids">The evaluations of this run kept none.</EmptyState>;
}

/** Why there is nothing beside the run's grids. */
export function NothingBeside({ data }: { readonly data: RunData }): VNode {
  const problem = data.problem.value ?? data.measurementProblem.value;
  if (problem) {
    return (
      <EmptyState title={problemOf(problem)}>
        <p>
          <code>{data.runId}</code>, code <code>{problem.code}</code>
        </p>
      </EmptyState>
    );
  }
  if (data.evaluations.value === undefined) return <Spinner label={`Loading ${data.runId}`} />;
  return <EmptyState title="Nothing to compare with">{data.runId} has no sample grids.</EmptyState>;
}

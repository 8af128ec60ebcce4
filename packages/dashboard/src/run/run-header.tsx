import type { ComponentChildren, VNode } from 'preact';
import type { Run } from '../api/client.js';
import { RunActions } from '../runs/run-actions.js';
import { progressOf } from '../runs/run-list.js';
import { StateBadge } from '../runs/state-badge.js';
import { Ago } from '../ui/ago.js';
import { problemOf } from '../ui/error-state.js';
import { Link } from '../view/view-state.js';
import type { SpecFacts } from './spec-facts.js';
import { formatCount, formatCycle, formatCyclePosition, formatDuration, formatFid, formatRate, formatShare } from '../view/format.js';

/** Who the run is, where it stands, what it waits for, and what can be done with it. */
export function RunHeader({ run, facts }: { readonly run: Run; readonly facts: SpecFacts }): VNode {
  const progress = progressOf(run);
  // Outside the phase distill the run itself has no cycle; the declared one is shown all the same.
  const declared = facts.cycle && { cycleLength: facts.cycle.guidance + facts.cycle.generator, cycleGuidance: facts.cycle.guidance };
  const cycle = run.cycleLength > 0 ? run : (declared ?? run);
  const isGoing = run.state === 'RUN_STATE_RUNNING' || run.state === 'RUN_STATE_PAUSING';
  return (
    <header class="run-header">
      <div class="view-head">
        <div class="grow">
          <div class="row run-title">
            <h1>{run.name}</h1>
            <StateBadge run={run} />
          </div>
          <p class="muted small">
            <code>{run.runId}</code> submitted <Ago at={run.createdAt} />, changed <Ago at={run.updatedAt} />
          </p>
        </div>
        <div class="row">
          {run.update > 0 && (
            <Link class="button" to={`/try/${encodeURIComponent(run.runId)}`}>
              Try it
            </Link>
          )}
          <RunActions run={run} />
        </div>
      </div>
      {run.error && (
        <div class="notice notice-bad" role="alert">
          <p>
            <b>{problemOf(run.error)}</b> <code>{run.error.code}</code>
          </p>
          {run.error.remedy !== undefined && run.error.remedy !== '' && <p>{run.error.remedy}</p>}
        </div>
      )}
      {run.state === 'RUN_STATE_QUEUED' && <p class="notice">The run waits for its place in the queue (priority {run.priority}).</p>}
      <div class="run-progress">
        <progress aria-label="Updates that are done" value={run.update} max={Math.max(1, run.totalUpdates)} />
        <span>
          {formatCount(run.update)} of {formatCount(run.totalUpdates)} updates ({formatShare(progress)})
        </span>
      </div>
      <dl class="facts run-facts">
        <Fact name="Phase">{run.phase === '' ? 'not started' : run.phase}</Fact>
        <Fact name="Cycle" isWide>
          {cycle.cycleLength > 0 ? formatCycle(cycle) : '-'}
          {isGoing && <span class="muted small is-below"> {run.cycleLength > 0 ? `now ${formatCyclePosition(run)}` : 'in the phase distill'}</span>}
        </Fact>
        <Fact name="Generator updates">{formatCount(run.generatorUpdates)}</Fact>
        {isGoing && <Fact name="Rate">{run.updatesPerSecond === undefined ? '-' : formatRate(Number(run.updatesPerSecond), 'updates')}</Fact>}
        {isGoing && <Fact name="Time left">{run.etaSeconds === undefined ? '-' : formatDuration(Number(run.etaSeconds))}</Fact>}
        <Fact name="Last FID">
          {formatFid(run.lastFid)}
          {run.lastFid !== undefined && <span class="muted small"> {formatCount(run.fidSamples)} samples</span>}
        </Fact>
        <Fact name="Best FID">
          {formatFid(run.bestFid)}
          {run.bestUpdate !== undefined && <span class="muted small"> at update {formatCount(run.bestUpdate)}</span>}
        </Fact>
      </dl>
    </header>
  );
}

function Fact({ name, isWide = false, children }: { readonly name: string; readonly isWide?: boolean; readonly children: ComponentChildren }): VNode {
  return (
    <div class={isWide ? 'is-wide' : ''}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

import type { VNode } from 'preact';
import type { Run } from '../api/client.js';
import { Badge } from '../ui/badge.js';
import { runStates, type RunAction } from './run-states.js';
import { actionsUnderWay } from './runs-store.js';

const underWayWords: Readonly<Record<RunAction, string>> = { pause: 'pausing', resume: 'resuming', cancel: 'cancelling' };

/** Where a run stands. What was just asked of it is shown before the answer is there. */
export function StateBadge({ run }: { readonly run: Pick<Run, 'runId' | 'state' | 'waitingFor'> }): VNode {
  const action = actionsUnderWay.value.get(run.runId);
  if (action) return <Badge tone="warn">{underWayWords[action]}</Badge>;
  const { word, tone } = runStates[run.state];
  const waits = run.waitingFor !== '' && run.state === 'RUN_STATE_RUNNING';
  return <Badge tone={waits ? 'warn' : tone}>{waits ? `waits for ${run.waitingFor}` : word}</Badge>;
}

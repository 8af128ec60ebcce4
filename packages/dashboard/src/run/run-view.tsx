import type { VNode } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { drawnIds } from '../compare/run-choices.js';
import { CheckpointsPanel } from '../events/checkpoints-panel.js';
import { EventsPanel } from '../events/events-panel.js';
import { runColour, runDash } from '../charts/palette.js';
import { SpecPanel } from '../spec/spec-panel.js';
import { runStates } from '../runs/run-states.js';
import { ErrorState } from '../ui/error-state.js';
import { Spinner } from '../ui/spinner.js';
import { Tabs } from '../ui/tabs.js';
import { setTitle } from '../view/title.js';
import { Link } from '../view/view-state.js';
import { RunHeader } from './run-header.js';
import { comparedRun, MAX_OVERLAID, overlaidRuns, runTab, type RunTab } from './run-params.js';
import { RunOverview } from './run-overview.js';
import { useRunData } from './run-store.js';
import { useSpecFacts } from './use-spec-facts.js';
import type { ShownRun } from './shown-run.js';
import './run.css';

const tabs: readonly { readonly id: RunTab; readonly label: string }[] = [
  { id: 'overview', label: 'Overview' },
  { id: 'events', label: 'Events' },
  { id: 'spec', label: 'Spec' },
  { id: 'checkpoints', label: 'Checkpoints' },
];

/** One run, and others laid over it. */
export default function RunView({ runId }: { readonly runId: string }): VNode {
  const overlaid = overlaidRuns.value;
  const drawn = useMemo(() => drawnIds(runId, overlaid, MAX_OVERLAID), [runId, overlaid]);
  const compared = comparedRun.value === runId ? '' : comparedRun.value;
  const data = useRunData(compared === '' || drawn.includes(compared) ? drawn : [...drawn, compared]);
  const key = data.map((one) => one.runId).join();
  const runs = useMemo(
    () => data.map((one): ShownRun => ({ runId: one.runId, data: one, label: one.runId, colour: runColour(one.runId, drawn), dash: runDash(one.runId, drawn) })),
    [key, drawn],
  );
  const facts = useSpecFacts(runId);
  const own = data[0];
  const run = own?.run.value;
  const stateWord = run && runStates[run.state].word;
  useEffect(() => setTitle(run?.name ?? runId, stateWord), [run?.name, runId, stateWord]);
  const problem = own?.problem.value;
  if (!run && problem) {
    return (
      <ErrorState error={problem} onRetry={() => own?.load()}>
        <p>
          Run <code>{runId}</code>. Go to <Link to="/">the list of runs</Link>.
        </p>
      </ErrorState>
    );
  }
  if (!run) return <Spinner label="Loading the run" />;
  const tab = runTab.value;
  return (
    <div class="run-view">
      <RunHeader run={run} facts={facts} />
      <Tabs label="About the run" tabs={tabs} selected={tab} onSelect={(id) => (runTab.value = id)}>
        {tab === 'overview' && <RunOverview key={runId} runs={runs} drawn={drawn} compared={compared} facts={facts} />}
        {tab === 'events' && <EventsPanel runId={runId} />}
        {tab === 'spec' && <SpecPanel runId={runId} />}
        {tab === 'checkpoints' && <CheckpointsPanel runId={runId} />}
      </Tabs>
    </div>
  );
}

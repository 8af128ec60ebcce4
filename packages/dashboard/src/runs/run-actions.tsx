import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import type { Run } from '../api/client.js';
import { Button, IconButton } from '../ui/button.js';
import { ConfirmDialog } from '../ui/dialog.js';
import type { IconName } from '../ui/icon.js';
import { tellDone, tellError } from '../ui/toast.js';
import { formatCount } from '../view/format.js';
import { EvaluateDialog } from './evaluate-dialog.js';
import { actionsOf, type RunAction } from './run-states.js';
import { act, actionsUnderWay } from './runs-store.js';

interface ActionText {
  readonly verb: string;
  readonly icon: IconName;
  readonly title: (name: string) => string;
  readonly explain: (run: Run) => string;
  readonly confirm: string;
  readonly dismiss: string;
  readonly done: (name: string) => string;
}

const texts: Readonly<Record<RunAction, ActionText>> = {
  pause: {
    verb: 'Pause',
    icon: 'pause',
    title: (name) => `Pause ${name}?`,
    explain: ({ state }) => (state === 'RUN_STATE_QUEUED' ? 'It is taken out of the queue. It can be resumed at any time.' : 'It finishes the current update and writes a checkpoint. It can be resumed at any time, and goes on exactly from there.'),
    confirm: 'Pause the run',
    dismiss: 'Keep it running',
    done: (name) => `${name} is pausing`,
  },
  resume: {
    verb: 'Resume',
    icon: 'play',
    title: (name) => `Resume ${name}?`,
    explain: ({ state, update }) => `It is queued again and goes on from its newest checkpoint (it has ${formatCount(update)} updates).${state === 'RUN_STATE_FAILED' ? ' It failed: unless the cause is gone, it will fail again.' : ''}`,
    confirm: 'Resume the run',
    dismiss: 'Not now',
    done: (name) => `${name} is queued`,
  },
  cancel: {
    verb: 'Cancel',
    icon: 'stop',
    title: (name) => `Cancel ${name} for good?`,
    explain: () => 'It ends at once and can never be resumed. Its last checkpoint and all that was measured stay. To go on later, pause it instead.',
    confirm: 'Cancel the run for good',
    dismiss: 'Keep it',
    done: (name) => `${name} is cancelled`,
  },
};

export interface RunActionsProps {
  readonly run: Run;
  /** signs only, as in a table */
  readonly isCompact?: boolean;
}

/** What can be done with a run now, each confirmed. On its own page also: measure again, and start another one from its spec. */
export function RunActions({ run, isCompact = false }: RunActionsProps): VNode {
  const asked = useSignal<RunAction | 'evaluate' | undefined>(undefined);
  const underWay = actionsUnderWay.value.get(run.runId);
  const close = (): void => {
    asked.value = undefined;
  };
  const confirm = (action: RunAction): void => {
    close();
    act(run.runId, action).then(() => tellDone(texts[action].done(run.name)), tellError);
  };
  const wanted = asked.value;
  return (
    <div class={isCompact ? 'row run-actions run-actions-compact' : 'row run-actions'}>
      {actionsOf(run.state).map((action) => {
        const { verb, icon } = texts[action];
        const isBusy = underWay !== undefined;
        const onClick = (): void => {
          asked.value = action;
        };
        if (isCompact) return <IconButton key={action} label={`${verb} ${run.runId}`} icon={icon} kind="quiet" disabled={isBusy} onClick={onClick} />;
        return (
          <Button key={action} icon={icon} kind={action === 'cancel' ? 'danger' : 'plain'} busy={underWay === action} disabled={isBusy} onClick={onClick}>
            {verb}
          </Button>
        );
      })}
      {!isCompact && (
        <Button icon="chart" onClick={() => (asked.value = 'evaluate')}>
          Evaluate
        </Button>
      )}
      {wanted === 'evaluate' && <EvaluateDialog run={run} onClose={close} />}
      {wanted !== undefined && wanted !== 'evaluate' && (
        <ConfirmDialog title={texts[wanted].title(run.runId)} confirmLabel={texts[wanted].confirm} dismissLabel={texts[wanted].dismiss} isDangerous={wanted === 'cancel'} onConfirm={() => confirm(wanted)} onClose={close}>
          <p>{texts[wanted].explain(run)}</p>
        </ConfirmDialog>
      )}
    </div>
  );
}

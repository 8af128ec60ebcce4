import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useId } from 'preact/hooks';
import { formatFid } from '../view/format.js';
import { runs } from '../runs/runs-store.js';
import { StateBadge } from '../runs/state-badge.js';
import { Button } from '../ui/button.js';
import { Checkbox, TextField } from '../ui/field.js';
import { runChoices } from './run-choices.js';

/** Runs that are listed at once; the search finds the others. */
const LISTED = 30;

export interface RunPickerProps {
  /** the page's own run, which is always drawn */
  readonly own: string;
  readonly chosen: readonly string[];
  readonly most: number;
  readonly onChange: (chosen: readonly string[]) => void;
}

/** Chooses the runs that are laid over the page's own. */
export function RunPicker({ own, chosen, most, onChange }: RunPickerProps): VNode {
  const isOpen = useSignal(false);
  const search = useSignal('');
  const panel = useId();
  const choices = runChoices(runs.value.values(), [own], search.value);
  return (
    <div class="run-picker">
      <Button icon="plus" aria-expanded={isOpen.value} onClick={() => (isOpen.value = !isOpen.value)}>
        Overlay runs
      </Button>
      {isOpen.value && (
        <div class="run-picker-panel" id={panel} role="group" aria-label="Runs to lay over this one">
          <TextField label="Search runs" isLabelHidden type="search" placeholder="Search by name, id or phase" value={search.value} onInput={(value) => (search.value = value)} />
          {choices.length === 0 && <p class="muted">{runs.value.size < 2 ? 'There is no other run yet.' : 'No run matches.'}</p>}
          <ul class="plain-list">
            {choices.slice(0, LISTED).map((run) => {
              const isChosen = chosen.includes(run.runId);
              return (
                <li key={run.runId}>
                  <Checkbox
                    label={run.runId}
                    checked={isChosen}
                    disabled={!isChosen && chosen.length >= most}
                    onChange={(wanted) => onChange(wanted ? [...chosen, run.runId] : chosen.filter((runId) => runId !== run.runId))}
                  />
                  <StateBadge run={run} />
                  <span class="muted small">{run.bestFid === undefined ? 'no FID yet' : `best FID ${formatFid(run.bestFid)}`}</span>
                </li>
              );
            })}
          </ul>
          {choices.length > LISTED && <p class="muted small">{choices.length - LISTED} more: search for them.</p>}
          {chosen.length >= most && <p class="muted small">At most {most} runs can lie over another one.</p>}
        </div>
      )}
    </div>
  );
}

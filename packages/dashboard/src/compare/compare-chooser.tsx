import type { VNode } from 'preact';
import { comparedRun } from '../run/run-params.js';
import { runs } from '../runs/runs-store.js';
import { Select } from '../ui/field.js';
import { Link } from '../view/view-state.js';
import { runChoices } from './run-choices.js';

/** Chooses the run whose grids are shown beside those of the page's own. */
export function CompareChooser({ own }: { readonly own: string }): VNode {
  const chosen = comparedRun.value;
  const ids = runChoices(runs.value.values(), [own]).map(({ runId }) => runId);
  // A run of the URL that the list does not have (yet) stays chosen.
  const listed = chosen === '' || chosen === own || ids.includes(chosen) ? ids : [chosen, ...ids];
  return (
    <div class="row compare-chooser">
      {chosen !== '' && chosen !== own && (
        <Link class="small" to="/diff" params={{ a: own, b: chosen }}>
          Differences of the specs
        </Link>
      )}
      <Select
        label="Side by side with"
        value={chosen === own ? '' : chosen}
        options={[{ value: '', label: 'no other run' }, ...listed.map((runId) => ({ value: runId, label: runId }))]}
        disabled={listed.length === 0}
        onChange={(runId) => (comparedRun.value = runId)}
      />
    </div>
  );
}

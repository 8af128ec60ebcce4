import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Run } from '../api/client.js';
import { Button } from '../ui/button.js';
import { EmptyState } from '../ui/empty-state.js';
import { ErrorState } from '../ui/error-state.js';
import { Checkbox, Select, TextField } from '../ui/field.js';
import { Spinner } from '../ui/spinner.js';
import { Table } from '../ui/table.js';
import { setTitle } from '../view/title.js';
import { Link, list, navigate, param, text } from '../view/view-state.js';
import { MOST_SELECTED, runColumns, sortLabels, type RunColumn } from './run-columns.js';
import { runStates } from './run-states.js';
import { defaultSorting, filterRuns, formatSorting, parseSorting, sortKeys, sortRuns } from './run-list.js';
import { loadRuns, runs, runsLoaded, runsProblem } from './runs-store.js';
import './runs.css';

const filterText = param('q', text());
const filterStates = param('state', list(8));
const sorting = param('sort', { parse: parseSorting, format: formatSorting, default: defaultSorting });
const stateWords = Object.values(runStates)
  .filter(({ order }) => order < 9)
  .sort((a, b) => a.order - b.order)
  .map(({ word }) => word);

/** All runs, live. */
export function RunsView(): VNode {
  const selected = useSignal<readonly string[]>([]);
  const all = [...runs.value.values()];
  const running = all.filter(({ state }) => state === 'RUN_STATE_RUNNING').length;
  useEffect(() => setTitle(running > 0 ? `${running} running` : '', 'Runs'), [running]);
  const problem = runsProblem.value;
  if (all.length === 0) return problem ? <ErrorState error={problem} onRetry={() => void loadRuns()} /> : runsLoaded.value ? <NoRuns /> : <Spinner label="Loading the runs" />;
  const shown = sortRuns(filterRuns(all, filterText.value, filterStates.value), sorting.value);
  const select = (runId: string, isSelected: boolean): void => {
    selected.value = isSelected ? [...selected.value, runId].slice(0, MOST_SELECTED) : selected.value.filter((id) => id !== runId);
  };
  return (
    <div class="stack">
      <div class="view-head runs-head">
        <h1 class="grow">Runs</h1>
        <Link to="/submit" class="button button-primary">
          Submit a run
        </Link>
      </div>
      <Filters shown={shown.length} all={all.length} />
      {selected.value.length > 0 && <Selection selected={selected.value} onClear={() => (selected.value = [])} />}
      {shown.length === 0 ? (
        <EmptyState
          title="No run matches the filter"
          actions={
            <Button
              onClick={() => {
                filterText.value = '';
                filterStates.value = [];
              }}
            >
              Show all runs
            </Button>
          }
        />
      ) : (
        <Table<Run, RunColumn>
          caption="Runs"
          class="runs-table"
          isCards
          columns={runColumns({ selected: selected.value, select, hasPriorities: all.some(({ priority }) => priority !== 0) })}
          rows={shown}
          rowKey={(run) => run.runId}
          sorting={sorting.value}
          onSort={({ by, isDescending }) => {
            const key = sortKeys.find((one) => one === by);
            if (key) sorting.value = { by: key, isDescending };
          }}
        />
      )}
    </div>
  );
}

function Filters({ shown, all }: { readonly shown: number; readonly all: number }): VNode {
  return (
    <form class="toolbar runs-filters" role="search" onSubmit={(event) => event.preventDefault()}>
      <TextField class="runs-search" label="Filter by name, id or phase" type="search" value={filterText.value} onInput={(value) => (filterText.value = value)} />
      <fieldset>
        <legend class="field-label">State</legend>
        <div class="row runs-states">
          {stateWords.map((word) => (
            <Checkbox
              key={word}
              label={word}
              checked={filterStates.value.includes(word)}
              onChange={(checked) => (filterStates.value = checked ? [...filterStates.value, word] : filterStates.value.filter((one) => one !== word))}
            />
          ))}
        </div>
      </fieldset>
      <Select
        class="runs-sort"
        label="Sort by"
        value={formatSorting(sorting.value)}
        onChange={(value) => (sorting.value = parseSorting(value) ?? defaultSorting)}
        options={sortKeys.flatMap((key) => [
          { value: `-${key}`, label: `${sortLabels[key]}, downwards` },
          { value: key, label: `${sortLabels[key]}, upwards` },
        ])}
      />
      <p class="muted small runs-count" role="status">
        {shown === all ? `${all} ${all === 1 ? 'run' : 'runs'}` : `${shown} of ${all} runs`}
      </p>
    </form>
  );
}

function Selection({ selected, onClear }: { readonly selected: readonly string[]; readonly onClear: () => void }): VNode {
  const [first, ...others] = selected;
  return (
    <div class="row runs-selection" role="status">
      <span>
        {selected.length} {selected.length === 1 ? 'run' : 'runs'} selected
      </span>
      <Button kind="primary" icon="compare" disabled={others.length === 0} onClick={() => first !== undefined && navigate(`/runs/${encodeURIComponent(first)}`, { runs: others.join(',') })}>
        Overlay
      </Button>
      <Button disabled={selected.length !== 2} onClick={() => navigate('/diff', { a: first, b: others[0] })}>
        Compare specs
      </Button>
      <Button kind="quiet" onClick={onClear}>
        Clear
      </Button>
      {others.length === 0 && <span class="muted small">Select another one to lay them over each other.</span>}
    </div>
  );
}

function NoRuns(): VNode {
  useEffect(() => setTitle('Runs'), []);
  return (
    <EmptyState
      title="No run yet"
      isView
      actions={
        <Link to="/submit" class="button button-primary">
          Submit the first run
        </Link>
      }
    >
      <p>A run spec describes a distillation from start to end. Submit one here or from the command line:</p>
      <pre>
        <code>dd2 run submit configs/mnist.yaml</code>
      </pre>
    </EmptyState>
  );
}

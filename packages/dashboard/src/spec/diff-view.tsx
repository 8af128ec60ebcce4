import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';
import { ApiError, getRunSpec } from '../api/client.js';
import { runs } from '../runs/runs-store.js';
import { EmptyState } from '../ui/empty-state.js';
import { ErrorState } from '../ui/error-state.js';
import { Checkbox, Select } from '../ui/field.js';
import { Spinner } from '../ui/spinner.js';
import { Table } from '../ui/table.js';
import { setTitle } from '../view/title.js';
import { choice, flag, Link, param, text } from '../view/view-state.js';
import { DiffTable } from './diff-table.js';
import { changedFields, diffRows, specFields, withGaps, type FieldChange } from './spec-changes.js';
import './spec.css';

const runA = param('a', text());
const runB = param('b', text());
/** where there is room for both, they stand side by side unless the reader chooses otherwise */
const isNarrow = window.matchMedia('(max-width: 900px)').matches;
const layout = param('layout', choice<'split' | 'unified'>(isNarrow ? ['unified', 'split'] : ['split', 'unified']));
const isWhole = param('whole', flag());
const CONTEXT_LINES = 3;

/** What differs between the specs of two runs: the fields first, then the texts. */
export default function DiffView(): VNode {
  const specs = useSignal<readonly [string, string] | undefined>(undefined);
  const problem = useSignal<ApiError | undefined>(undefined);
  const attempt = useSignal(0);
  const [a, b] = [runA.value, runB.value];
  useEffect(() => setTitle(a === '' || b === '' ? 'Compare specs' : `${a} and ${b}`, a === '' ? '' : 'Specs'), [a, b]);
  useEffect(() => {
    specs.value = undefined;
    problem.value = undefined;
    if (a === '' || b === '') return;
    const stop = new AbortController();
    Promise.all([getRunSpec(a, { signal: stop.signal }), getRunSpec(b, { signal: stop.signal })]).then(
      ([one, other]) => (specs.value = [one.specYaml, other.specYaml]),
      (thrown: unknown) => {
        if (!stop.signal.aborted) problem.value = ApiError.from(thrown);
      },
    );
    return () => stop.abort();
  }, [a, b, attempt.value]);
  return (
    <div class="stack">
      <div class="view-head">
        <h1>Compare specs</h1>
      </div>
      <div class="toolbar">
        <RunSelect label="Run A" value={a} onChange={(runId) => (runA.value = runId)} />
        <RunSelect label="Run B" value={b} onChange={(runId) => (runB.value = runId)} />
        <Select
          label="Lines"
          value={layout.value}
          onChange={(value) => (layout.value = value)}
          options={[
            { value: 'split', label: 'side by side' },
            { value: 'unified', label: 'one below the other' },
          ]}
        />
        <Checkbox label="Show equal lines too" checked={isWhole.value} onChange={(checked) => (isWhole.value = checked)} />
      </div>
      {problem.value && <ErrorState error={problem.value} onRetry={() => (attempt.value += 1)} />}
      {a === '' || b === '' ? <EmptyState title="Choose two runs" /> : specs.value ? <Differences a={a} b={b} specs={specs.value} /> : !problem.value && <Spinner label="Loading the specs" />}
    </div>
  );
}

function Differences({ a, b, specs: [yamlA, yamlB] }: { readonly a: string; readonly b: string; readonly specs: readonly [string, string] }): VNode {
  const changes = changedFields(specFields(yamlA), specFields(yamlB));
  const rows = diffRows(yamlA, yamlB);
  const isEqual = rows.every(({ kind }) => kind === 'same');
  return (
    <>
      {isEqual ? (
        <EmptyState title="The specs are equal">
          <p>
            <Link to={`/runs/${encodeURIComponent(a)}`} params={{ runs: b }}>
              Lay the runs over each other
            </Link>{' '}
            to see how they differ in outcome.
          </p>
        </EmptyState>
      ) : (
        <>
          <h2>
            {changes.length} {changes.length === 1 ? 'field differs' : 'fields differ'}
          </h2>
          <Table<FieldChange, 'path' | 'a' | 'b'>
            caption="Fields that differ"
            columns={[
              { key: 'path', label: 'Field', cell: ({ path }) => <code>{path}</code> },
              { key: 'a', label: a, cell: (change) => <FieldValue value={change.a} /> },
              { key: 'b', label: b, cell: (change) => <FieldValue value={change.b} /> },
            ]}
            rows={changes}
            rowKey={({ path }) => path}
          />
        </>
      )}
      {(!isEqual || isWhole.value) && <DiffTable rows={isWhole.value ? rows : withGaps(rows, CONTEXT_LINES)} isSplit={layout.value === 'split'} names={[a, b]} />}
    </>
  );
}

function FieldValue({ value }: { readonly value: string | undefined }): VNode {
  return value === undefined ? <span class="muted">not set</span> : <code class="diff-value">{value}</code>;
}

function RunSelect({ label, value, onChange }: { readonly label: string; readonly value: string; readonly onChange: (runId: string) => void }): VNode {
  const ids = [...runs.value.values()].sort((one, other) => Date.parse(other.createdAt) - Date.parse(one.createdAt)).map(({ runId }) => runId);
  const known = value === '' || ids.includes(value) ? ids : [value, ...ids];
  return <Select label={label} value={value} onChange={onChange} options={[...(value === '' ? [{ value: '', label: 'choose ...' }] : []), ...known.map((runId) => ({ value: runId, label: runId }))]} />;
}

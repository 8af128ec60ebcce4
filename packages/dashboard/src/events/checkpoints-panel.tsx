import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';
import { ApiError, exportUrl, listCheckpoints, verifyCheckpoints, type Checkpoint, type CheckpointVerdict } from '../api/client.js';
import { runs } from '../runs/runs-store.js';
import { Ago } from '../ui/ago.js';
import { Badge } from '../ui/badge.js';
import { Button } from '../ui/button.js';
import { EmptyState } from '../ui/empty-state.js';
import { ErrorState, problemOf } from '../ui/error-state.js';
import { Spinner } from '../ui/spinner.js';
import { Table, type Column } from '../ui/table.js';
import { tellDone, tellError } from '../ui/toast.js';
import { formatBytes, formatCount } from '../view/format.js';
import { Link } from '../view/view-state.js';
import './events.css';

/** The checkpoints of a run: why each is kept, whether it is intact, and what other programs can read of it. */
export function CheckpointsPanel({ runId }: { readonly runId: string }): VNode {
  const checkpoints = useSignal<readonly Checkpoint[] | undefined>(undefined);
  const problem = useSignal<ApiError | undefined>(undefined);
  const verdicts = useSignal<ReadonlyMap<number, CheckpointVerdict>>(new Map());
  /** update that is being verified; -1 for all */
  const verifying = useSignal<number | undefined>(undefined);
  const attempt = useSignal(0);
  // A new checkpoint comes every so many updates; the run is told anew far more often.
  const fresh = Math.floor((runs.value.get(runId)?.update ?? 0) / REFRESH_UPDATES);
  useEffect(() => {
    const stop = new AbortController();
    listCheckpoints(runId, { signal: stop.signal }).then(
      (told) => {
        checkpoints.value = told;
        problem.value = undefined;
      },
      (thrown: unknown) => {
        if (!stop.signal.aborted) problem.value = ApiError.from(thrown);
      },
    );
    return () => stop.abort();
  }, [runId, attempt.value, fresh]);
  const verify = (update?: number): void => {
    verifying.value = update ?? -1;
    verifyCheckpoints(runId, update)
      .then((told) => {
        verdicts.value = new Map([...verdicts.value, ...told.map((one) => [one.update, one] as const)]);
        const broken = told.filter(({ intact }) => !intact).length;
        if (broken === 0) tellDone(told.length === 1 ? `Checkpoint ${formatCount(told[0]?.update ?? 0)} is intact` : `All ${told.length} checkpoints are intact`);
      }, tellError)
      .finally(() => (verifying.value = undefined));
  };
  if (problem.value) return <ErrorState error={problem.value} onRetry={() => (attempt.value += 1)} />;
  if (!checkpoints.value) return <Spinner label="Loading the checkpoints" />;
  if (checkpoints.value.length === 0) {
    return (
      <EmptyState title="No checkpoint yet">
        <p>The first one is written after as many updates as the run spec says, at the end of a phase, or when the run is paused.</p>
      </EmptyState>
    );
  }
  return (
    <div class="stack">
      <div class="toolbar">
        <Button icon="check" busy={verifying.value === -1} disabled={verifying.value !== undefined} onClick={() => verify()}>
          Verify all
        </Button>
        <Link to={`/try/${encodeURIComponent(runId)}`} class="button">
          Try the generator
        </Link>
        <p class="muted small">Verifying reads every file whole and compares it with the manifest.</p>
      </div>
      <Table caption={`Checkpoints of ${runId}`} isCards columns={columns(runId, verdicts.value, verifying.value, verify)} rows={checkpoints.value} rowKey={({ update }) => String(update)} />
    </div>
  );
}

const REFRESH_UPDATES = 50;

function columns(runId: string, verdicts: ReadonlyMap<number, CheckpointVerdict>, verifying: number | undefined, verify: (update: number) => void): readonly Column<Checkpoint>[] {
  return [
    { key: 'update', label: 'Update', isNumeric: true, cell: ({ update }) => <strong>{formatCount(update)}</strong> },
    { key: 'phase', label: 'Phase', cell: ({ phase }) => phase },
    { key: 'generator', label: 'Generator updates', isNumeric: true, cell: ({ generatorUpdates }) => formatCount(generatorUpdates) },
    {
      key: 'kept',
      label: 'Kept as',
      cell: ({ keptFor }) => (
        <span class="checkpoint-names">
          {keptFor.map((reason) => (
            <Badge key={reason} tone={reason === 'best' ? 'good' : 'neutral'}>
              {reason}
            </Badge>
          ))}
        </span>
      ),
    },
    { key: 'written', label: 'Written', isNumeric: true, cell: ({ createdAt }) => <Ago at={createdAt} /> },
    {
      key: 'files',
      label: 'Files',
      cell: ({ files }) => (
        <details class="checkpoint-files">
          <summary>
            {files.length} {files.length === 1 ? 'file' : 'files'}, {formatBytes(files.reduce((sum, { bytes }) => sum + Number(bytes), 0))}
          </summary>
          <ul>
            {files.map(({ name, bytes, sha256 }) => (
              <li key={name}>
                {name}, {formatBytes(bytes)} <code class="small muted">{sha256}</code>
              </li>
            ))}
          </ul>
        </details>
      ),
    },
    {
      key: 'intact',
      label: 'Intact',
      cell: ({ update }) => {
        const verdict = verdicts.get(update);
        if (verdict?.intact === false) {
          return (
            <span>
              <Badge tone="bad">damaged</Badge> {verdict.error && problemOf(verdict.error)} {verdict.error?.remedy}
            </span>
          );
        }
        if (verdict) return <Badge tone="good">intact</Badge>;
        return (
          <Button busy={verifying === update} disabled={verifying !== undefined} onClick={() => verify(update)}>
            Verify<span class="visually-hidden"> checkpoint {formatCount(update)}</span>
          </Button>
        );
      },
    },
    {
      key: 'export',
      label: 'Export',
      cell: ({ update }) => (
        <span class="row">
          <a href={exportUrl(runId, { format: 'onnx', sampler: 'one-step', update })} download>
            generator.onnx<span class="visually-hidden"> of update {formatCount(update)}</span>
          </a>
          <a href={exportUrl(runId, { format: 'safetensors', update })} download>
            safetensors<span class="visually-hidden"> of update {formatCount(update)}</span>
          </a>
        </span>
      ),
    },
  ];
}

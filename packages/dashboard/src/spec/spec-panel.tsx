import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';
import { ApiError, getRunSpec, type RunSpecText } from '../api/client.js';
import { runs } from '../runs/runs-store.js';
import { Button } from '../ui/button.js';
import { ErrorState } from '../ui/error-state.js';
import { Select } from '../ui/field.js';
import { Spinner } from '../ui/spinner.js';
import { copyText } from '../ui/copy-text.js';
import { download } from '../ui/download.js';
import { Link, navigate } from '../view/view-state.js';
import { YamlDocument } from './yaml-lines.js';
import './spec.css';

/** The spec of a run, with every default written out; to copy, to take away, to compare, to start from. */
export function SpecPanel({ runId }: { readonly runId: string }): VNode {
  const spec = useSignal<RunSpecText | undefined>(undefined);
  const problem = useSignal<ApiError | undefined>(undefined);
  const attempt = useSignal(0);
  const other = useSignal('');
  useEffect(() => {
    const stop = new AbortController();
    spec.value = undefined;
    problem.value = undefined;
    getRunSpec(runId, { signal: stop.signal }).then(
      (told) => (spec.value = told),
      (thrown: unknown) => {
        if (!stop.signal.aborted) problem.value = ApiError.from(thrown);
      },
    );
    return () => stop.abort();
  }, [runId, attempt.value]);
  if (problem.value) return <ErrorState error={problem.value} onRetry={() => (attempt.value += 1)} />;
  if (!spec.value) return <Spinner label="Loading the spec" />;
  const { specYaml } = spec.value;
  const others = [...runs.value.keys()].filter((id) => id !== runId);
  return (
    <div class="stack">
      <div class="toolbar">
        <Button icon="copy" onClick={() => copyText(specYaml, 'The spec')}>
          Copy
        </Button>
        <Button icon="download" onClick={() => download(`${runId}.yaml`, new Blob([specYaml], { type: 'application/yaml' }))}>
          Download
        </Button>
        <Link to="/submit" params={{ copy: runId }} class="button">
          Start a run from it
        </Link>
        {others.length > 0 && (
          <>
            <Select
              label="Compare with the spec of"
              value={other.value}
              onChange={(chosen) => (other.value = chosen)}
              options={[{ value: '', label: 'choose a run ...' }, ...others.map((id) => ({ value: id, label: id }))]}
            />
            <Button icon="compare" disabled={other.value === ''} onClick={() => navigate('/diff', { a: runId, b: other.value })}>
              Compare
            </Button>
          </>
        )}
      </div>
      <YamlDocument text={specYaml} label={`Spec of ${runId}`} />
    </div>
  );
}

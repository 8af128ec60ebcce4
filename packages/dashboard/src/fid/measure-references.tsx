import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { evaluate, type EvaluationProgress } from '../api/client.js';
import type { RunData } from '../run/run-data.js';
import { Button } from '../ui/button.js';
import { ConfirmDialog } from '../ui/dialog.js';
import { tellDone, tellError } from '../ui/toast.js';
import { formatCount } from '../view/format.js';
import type { FidLine } from './fid-lines.js';
import { missingReferences, pendingReferences, type ReferenceLine } from './reference-lines.js';

const meanings = {
  teacher: 'token after token, as many steps as tokens: what the generator is distilled from',
  reconstruction: 'test images through the tokenizer and back: what the tokenizer alone loses',
  naive: 'all tokens at once, without distillation: what the generator must beat',
} as const;

/** Offers to measure the references that the curve lacks, with as many samples and the same noise; shows how far that is. */
export function MeasureReferences({ run, line, references }: { readonly run: RunData; readonly line: FidLine; readonly references: readonly ReferenceLine[] }): VNode | null {
  const isAsking = useSignal(false);
  const progress = useSignal<EvaluationProgress | 'asked' | undefined>(undefined);
  const leave = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => leave.current?.abort(), [run]);
  const missing = missingReferences(line, references);
  const pending = pendingReferences(line, run.evaluations.value ?? []);
  const start = (): void => {
    isAsking.value = false;
    progress.value = 'asked';
    leave.current = new AbortController();
    const { signal } = leave.current;
    evaluate(
      run.runId,
      { samplers: missing, samples: line.samples, ...(line.points[0] ? { noiseSeed: line.points[0].noiseSeed } : {}) },
      {
        signal,
        onProgress: (next) => (progress.value = next),
        onEvaluation: () => run.refresh(),
      },
    )
      .then(
        () => tellDone('The references are measured'),
        (cause: unknown) => {
          if (!signal.aborted) tellError(cause);
        },
      )
      .finally(() => {
        if (!signal.aborted) progress.value = undefined;
        run.refresh();
      });
  };
  const at = progress.value;
  if (at !== undefined || pending.length > 0) {
    const measured = typeof at === 'object' ? at : undefined;
    return (
      <div class="fid-references" role="status">
        <span>
          {measured ? `Measuring ${measured.sampler}` : `Waiting to measure ${(pending.length > 0 ? pending : missing).join(', ')}`}, {formatCount(line.samples)} samples ...
        </span>
        {measured && measured.totalSamples > 0 && <progress aria-label={`Samples of ${measured.sampler}`} {...(measured.samples > 0 ? { value: measured.samples, max: measured.totalSamples } : {})} />}
      </div>
    );
  }
  if (missing.length === 0) return null;
  return (
    <div class="fid-references">
      <span class="muted small">
        Not measured with {formatCount(line.samples)} samples: {missing.join(', ')}
      </span>
      <Button icon="chart" onClick={() => (isAsking.value = true)}>
        Measure references
      </Button>
      {isAsking.value && (
        <ConfirmDialog title="Measure the references?" confirmLabel="Measure" onConfirm={start} onClose={() => (isAsking.value = false)}>
          <p>The workers make and score {formatCount(line.samples)} images for each, before further updates of the run. They go on when this page is closed.</p>
          <ul class="plain-list">
            {missing.map((sampler) => (
              <li key={sampler}>
                <b>{sampler}</b>: {meanings[sampler]}
              </li>
            ))}
          </ul>
        </ConfirmDialog>
      )}
    </div>
  );
}

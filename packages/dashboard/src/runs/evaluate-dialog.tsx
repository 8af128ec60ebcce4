import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { ApiError, evaluate, listCheckpoints, type Run } from '../api/client.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { ErrorNotice } from '../ui/error-state.js';
import { Checkbox, Select, TextField } from '../ui/field.js';
import { tellDone, tellError } from '../ui/toast.js';
import { formatCount, formatFid } from '../view/format.js';

const samplers = [
  ['one-step', 'One step (the generator)'],
  ['teacher', 'Teacher'],
  ['reconstruction', 'Reconstruction (the tokenizer alone)'],
  ['naive', 'Naive one step'],
] as const;
const MOST_SAMPLES = 1_000_000;

/** Asks which sampler is to be measured at which checkpoint. The evaluations go on when the page is closed. */
export function EvaluateDialog({ run, onClose }: { readonly run: Run; readonly onClose: () => void }): VNode {
  const chosen = useSignal<ReadonlySet<string>>(new Set(['one-step']));
  const update = useSignal('');
  const samples = useSignal('');
  const checkpoints = useSignal<readonly number[]>([]);
  const problem = useSignal<ApiError | undefined>(undefined);
  const busy = useSignal(false);
  const isShown = useRef(true);
  useEffect(() => {
    isShown.current = true;
    const stop = new AbortController();
    listCheckpoints(run.runId, { signal: stop.signal }).then(
      (list) => (checkpoints.value = list.map((one) => one.update)),
      (thrown: unknown) => {
        if (!stop.signal.aborted) problem.value = ApiError.from(thrown);
      },
    );
    return () => {
      isShown.current = false;
      stop.abort();
    };
  }, [run.runId]);
  const samplesError = samples.value === '' || isSampleCount(samples.value) ? undefined : `A whole number from 1 to ${formatCount(MOST_SAMPLES)}`;
  const start = (): void => {
    busy.value = true;
    let isTold = false;
    const accepted = (): void => {
      if (isTold) return;
      isTold = true;
      if (isShown.current) onClose();
      tellDone(`Evaluations of ${run.runId} are queued`);
    };
    evaluate(
      run.runId,
      { samplers: [...chosen.value], ...(update.value === '' ? {} : { update: Number(update.value) }), ...(samples.value === '' ? {} : { samples: Number(samples.value) }) },
      {
        onProgress: accepted,
        onEvaluation: (result) => {
          accepted();
          tellDone(`${run.runId}: FID ${formatFid(result.fid)} (${result.sampler}, update ${formatCount(result.update)}, ${formatCount(result.samples)} samples)`);
        },
      },
    ).catch((thrown: unknown) => {
      if (isTold || !isShown.current) return tellError(thrown);
      busy.value = false;
      problem.value = ApiError.from(thrown);
    });
  };
  return (
    <Dialog
      title={`Evaluate ${run.runId}`}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>Not now</Button>
          <Button kind="primary" busy={busy.value} disabled={chosen.value.size === 0 || samplesError !== undefined} onClick={start}>
            Queue the evaluations
          </Button>
        </>
      }
    >
      <fieldset class="stack stack-dense">
        <legend class="field-label">What makes the images</legend>
        {samplers.map(([name, label]) => (
          <Checkbox
            key={name}
            label={label}
            checked={chosen.value.has(name)}
            onChange={(checked) => {
              const next = new Set(chosen.value);
              if (checked) next.add(name);
              else next.delete(name);
              chosen.value = next;
            }}
          />
        ))}
      </fieldset>
      <Select
        label="Checkpoint"
        value={update.value}
        onChange={(value) => (update.value = value)}
        options={[{ value: '', label: 'The newest' }, ...checkpoints.value.map((one) => ({ value: String(one), label: `Update ${formatCount(one)}` }))]}
      />
      <TextField label="Samples" type="number" min={1} max={MOST_SAMPLES} value={samples.value} placeholder="as in the run spec" onInput={(value) => (samples.value = value)} hint="FID depends on their number: compare only equal ones." error={samplesError} />
      {problem.value && <ErrorNotice error={problem.value} />}
    </Dialog>
  );
}

function isSampleCount(text: string): boolean {
  const count = Number(text);
  return Number.isInteger(count) && count >= 1 && count <= MOST_SAMPLES;
}

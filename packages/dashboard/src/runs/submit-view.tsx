import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { ApiError, getRunSpec, submitRun } from '../api/client.js';
import { tellAnswer } from '../api/live.js';
import { YamlDocument } from '../spec/yaml-lines.js';
import '../spec/spec.css';
import { Button } from '../ui/button.js';
import { ConfirmDialog } from '../ui/dialog.js';
import { ErrorNotice, type ShownError } from '../ui/error-state.js';
import { TextField } from '../ui/field.js';
import { tellDone } from '../ui/toast.js';
import { formatCount } from '../view/format.js';
import { setTitle } from '../view/title.js';
import { navigate, param, text } from '../view/view-state.js';
import { runs } from './runs-store.js';
import { SpecEditor } from './spec-editor.js';
import { SpecVerdict } from './spec-verdict.js';
import { MAX_SPEC_BYTES, parseOverrides, readSpecFile, sourceProblem, specBytes } from './spec-source.js';
import { useValidation } from './use-validation.js';
import './submit.css';

const startFrom = param('copy', text());
const MOST_PRIORITY = 1_000;

/** A run spec is pasted, uploaded or taken from another run, checked as it is typed, and submitted. */
export default function SubmitView(): VNode {
  const spec = useSignal('');
  const name = useSignal('');
  const overridesText = useSignal('');
  const priority = useSignal('0');
  const basePath = useSignal('');
  const fileProblem = useSignal<ShownError | undefined>(undefined);
  const goTo = useSignal<{ readonly line: number } | undefined>(undefined);
  const isConfirming = useSignal(false);
  const isSubmitting = useSignal(false);
  const refused = useSignal<ApiError | undefined>(undefined);
  const submissionKey = useRef({ of: '', key: '' });
  useEffect(() => setTitle('Submit a run'), []);
  const from = startFrom.value;
  useEffect(() => {
    if (from === '') return;
    const stop = new AbortController();
    getRunSpec(from, { signal: stop.signal }).then(
      ({ specYaml }) => (spec.value = specYaml),
      (thrown: unknown) => {
        if (!stop.signal.aborted) fileProblem.value = ApiError.from(thrown);
      },
    );
    return () => stop.abort();
  }, [from]);

  const overrides = [...parseOverrides(overridesText.value), ...(name.value.trim() === '' ? [] : [`name=${name.value.trim()}`])];
  const bytes = specBytes(spec.value);
  const tooLarge = sourceProblem(bytes);
  const validation = useValidation({ specYaml: spec.value, overrides, basePath: basePath.value.trim() }, tooLarge === undefined);
  const checked = validation.value.state === 'checked' ? validation.value.result : undefined;
  const priorityError = isPriority(priority.value) ? undefined : `A whole number from -${formatCount(MOST_PRIORITY)} to ${formatCount(MOST_PRIORITY)}`;
  const isReady = checked?.problems.length === 0 && priorityError === undefined && !isSubmitting.value;
  const takeFile = async (file: File): Promise<void> => {
    const read = await readSpecFile(file);
    fileProblem.value = 'problem' in read ? read.problem : undefined;
    if ('text' in read) spec.value = read.text;
  };
  const submit = async (): Promise<void> => {
    isConfirming.value = false;
    isSubmitting.value = true;
    refused.value = undefined;
    const submission = { specYaml: spec.value, overrides, basePath: basePath.value.trim(), priority: Number(priority.value) };
    // The same submission has the same key however often the button is pressed: an answer that was lost makes no second run.
    const of = JSON.stringify(submission);
    if (submissionKey.current.of !== of) submissionKey.current = { of, key: randomKey() };
    try {
      const run = await submitRun({ ...submission, idempotencyKey: submissionKey.current.key });
      tellAnswer(run);
      tellDone(`${run.runId} is submitted`);
      navigate(`/runs/${encodeURIComponent(run.runId)}`);
    } catch (thrown) {
      refused.value = ApiError.from(thrown);
    } finally {
      isSubmitting.value = false;
    }
  };
  return (
    <div class="stack">
      <div class="view-head">
        <h1>Submit a run</h1>
        {from !== '' && <p class="muted">Starts from the spec of {from}.</p>}
      </div>
      {fileProblem.value && <ErrorNotice error={fileProblem.value} />}
      <div class="submit">
        <section class="stack" aria-labelledby="spec-title">
          <div class="toolbar submit-source">
            <h2 id="spec-title">
              <label for="spec-yaml">Run spec (YAML)</label>
            </h2>
            <label class="button submit-file">
              Choose a file
              <input
                class="visually-hidden"
                type="file"
                accept=".yaml,.yml,application/yaml,text/yaml,text/plain"
                onChange={({ currentTarget }) => {
                  const file = currentTarget.files?.[0];
                  if (file) void takeFile(file);
                  currentTarget.value = ''; // the same file can be chosen again
                }}
              />
            </label>
            <span class={tooLarge ? 'small submit-size field-error' : 'small submit-size muted'}>
              {formatCount(bytes)} of {formatCount(MAX_SPEC_BYTES)} bytes
            </span>
          </div>
          <SpecEditor
            id="spec-yaml"
            value={spec.value}
            onInput={(value) => {
              spec.value = value;
              fileProblem.value = undefined;
            }}
            badLines={new Set(checked?.problems.map(({ line }) => line))}
            describedBy="spec-verdict"
            isInvalid={tooLarge !== undefined || (checked?.problems.length ?? 0) > 0}
            goTo={goTo.value}
            onFile={(file) => void takeFile(file)}
          />
        </section>
        <div class="stack">
          <SpecVerdict id="spec-verdict" validation={validation.value} tooLarge={tooLarge} onLine={(line) => (goTo.value = { line })} />
          <form
            class="panel stack"
            onSubmit={(event) => {
              event.preventDefault();
              if (isReady) isConfirming.value = true;
            }}
          >
            <TextField label="Name" value={name.value} onInput={(value) => (name.value = value)} placeholder="as in the spec" hint="Lower-case letters, digits and dashes." />
            <div class="field">
              <label class="field-label" for="spec-overrides">
                Overrides
              </label>
              <textarea id="spec-overrides" class="code" rows={3} spellcheck={false} value={overridesText.value} aria-describedby="spec-overrides-hint" placeholder={'seed=1\nphases.distill.align=200'} onInput={({ currentTarget }) => (overridesText.value = currentTarget.value)} />
              <p class="field-hint" id="spec-overrides-hint">
                One <code>key.path=value</code> a line.
              </p>
            </div>
            <TextField label="Priority" type="number" min={-MOST_PRIORITY} max={MOST_PRIORITY} value={priority.value} onInput={(value) => (priority.value = value)} hint="Larger goes first in the queue." error={priorityError} />
            <TextField label="Base path" value={basePath.value} onInput={(value) => (basePath.value = value)} isCode placeholder="the coordinator's folder" hint="Folder that relative paths of the spec start from, as the coordinator sees it." />
            {refused.value && <ErrorNotice error={refused.value} />}
            <Button kind="primary" type="submit" disabled={!isReady} busy={isSubmitting.value}>
              Submit the run ...
            </Button>
          </form>
        </div>
      </div>
      {checked && checked.problems.length === 0 && (
        <details class="submit-complete">
          <summary>The spec with every default written out</summary>
          <YamlDocument text={checked.specYaml} label="The complete spec" />
        </details>
      )}
      {isConfirming.value && checked && (
        <ConfirmDialog title="Submit this run?" confirmLabel="Submit the run" dismissLabel="Not yet" onConfirm={() => void submit()} onClose={() => (isConfirming.value = false)}>
          <p>
            It does {formatCount(checked.totalUpdates)} updates and is queued with priority {Number(priority.value)}
            {queuedBefore() === 0 ? '' : `, with ${queuedBefore()} waiting or going on already`}.
          </p>
        </ConfirmDialog>
      )}
    </div>
  );
}

function queuedBefore(): number {
  return [...runs.value.values()].filter(({ state }) => state === 'RUN_STATE_QUEUED' || state === 'RUN_STATE_RUNNING').length;
}

function isPriority(text: string): boolean {
  const value = Number(text);
  return text.trim() !== '' && Number.isInteger(value) && Math.abs(value) <= MOST_PRIORITY;
}

/** 128 random bits; crypto.randomUUID is there on secure pages only. */
function randomKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

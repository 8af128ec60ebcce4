import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { ApiError, listCheckpoints, type Checkpoint } from '../api/client.js';
import { Button } from '../ui/button.js';
import { EmptyState } from '../ui/empty-state.js';
import { ErrorState } from '../ui/error-state.js';
import { Select } from '../ui/field.js';
import { Spinner } from '../ui/spinner.js';
import { formatCount } from '../view/format.js';
import { setTitle } from '../view/title.js';
import { choice, Link, number, param } from '../view/view-state.js';
import { ImageCanvas } from './image-canvas.js';
import { PartProgress } from './part-progress.js';
import { CALLS, MOST_IMAGES, samplers, Studio, type Outcome, type SamplerName } from './studio.js';
import { SegmentedChoice } from './segmented-choice.js';
import { useTryKeys } from './try-keys.js';
import './try.css';

const label = param('class', number(3, { min: 0, max: 9999, isWhole: true }));
const images = param('images', choice(['1', String(MOST_IMAGES)]));
const noise = param('noise', choice(['new', 'fixed']));
const chosenUpdate = param('update', number(undefined, { min: 0, isWhole: true }));

/** Until the file has told how many classes there are. */
const USUAL_CLASSES = 10;

const titles: Readonly<Record<SamplerName, string>> = { 'one-step': 'Generator, one step', teacher: 'Teacher, token by token' };

/** Images from the exported generator, made in the browser, beside those of its teacher. */
export default function TryView({ runId }: { readonly runId: string }): VNode {
  const checkpoints = useSignal<readonly Checkpoint[] | undefined>(undefined);
  const problem = useSignal<ApiError | undefined>(undefined);
  const attempt = useSignal(0);
  useEffect(() => setTitle('Try it', runId), [runId]);
  useEffect(() => {
    const stop = new AbortController();
    problem.value = undefined;
    listCheckpoints(runId, { signal: stop.signal }).then(
      (told) => (checkpoints.value = told),
      (thrown: unknown) => {
        if (!stop.signal.aborted) problem.value = ApiError.from(thrown);
      },
    );
    return () => stop.abort();
  }, [runId, attempt.value]);
  return (
    <>
      <div class="view-head">
        <h1>
          Try <Link to={`/runs/${encodeURIComponent(runId)}`}>{runId}</Link>
        </h1>
      </div>
      {content()}
    </>
  );

  function content(): VNode {
    if (typeof WebAssembly !== 'object') {
      return <ErrorState error={{ code: 'UNSUPPORTED_OPERATION', message: 'this browser has no WebAssembly, which the generator runs on', remedy: 'Allow it, or use another browser; `dd2 sample` makes images on the command line' }} />;
    }
    if (problem.value) return <ErrorState error={problem.value} onRetry={() => (attempt.value += 1)} />;
    if (!checkpoints.value) return <Spinner label="Loading the checkpoints" />;
    if (checkpoints.value.length === 0) {
      return (
        <EmptyState title="No checkpoint yet" actions={<Button onClick={() => (attempt.value += 1)}>Look again</Button>}>
          <p>The generator can be tried once the run has written its first checkpoint.</p>
        </EmptyState>
      );
    }
    return <Stage runId={runId} checkpoints={checkpoints.value} />;
  }
}

function Stage({ runId, checkpoints }: { readonly runId: string; readonly checkpoints: readonly Checkpoint[] }): VNode {
  const studio = useMemo(() => new Studio(runId), [runId]);
  useEffect(() => () => void studio.close(), [studio]);
  const usual = checkpoints.find(({ keptFor }) => keptFor.includes('best')) ?? checkpoints[0];
  const update = checkpoints.find((one) => one.update === chosenUpdate.value)?.update ?? usual?.update ?? 0;
  useEffect(() => void studio.open(update), [studio, update]);

  const classes = Number(studio.metadata.value?.get('dd2.classes') ?? USUAL_CLASSES);
  const shown = Math.min(label.value, classes - 1);
  const generate = (wanted = shown, isNewNoise = noise.peek() === 'new'): void => {
    label.value = wanted;
    studio.generate({ label: wanted, images: Number(images.peek()), isNewNoise });
  };
  // What the address says is made at once; another number of images is made of the same noise.
  useEffect(() => generate(shown, false), [studio, images.value]);
  useTryKeys({ classes, onClass: generate, onSpace: generate });

  return (
    <div class="try">
      <section class="try-controls" aria-label="What to make">
        <fieldset class="try-classes">
          <legend class="field-label">Class</legend>
          <div class="row">
            {Array.from({ length: classes }, (_, one) => (
              <Button key={one} class="try-class" aria-pressed={one === shown} aria-label={`Make class ${one}`} onClick={() => generate(one)}>
                {one}
              </Button>
            ))}
          </div>
        </fieldset>
        <div class="toolbar">
          <Button kind="primary" icon="image" onClick={() => generate()}>
            Generate
          </Button>
          <SegmentedChoice label="Images" signal={images} choices={[{ value: '1', label: '1' }, { value: String(MOST_IMAGES), label: String(MOST_IMAGES) }]} />
          <SegmentedChoice label="Noise" signal={noise} choices={[{ value: 'new', label: 'New each time' }, { value: 'fixed', label: 'Fixed' }]} />
          <Select
            label="Checkpoint"
            value={String(update)}
            onChange={(value) => (chosenUpdate.value = value === String(usual?.update) ? undefined : Number(value))}
            options={checkpoints.map((one, i) => ({ value: String(one.update), label: checkpointLabel(one, i === 0) }))}
          />
        </div>
        <p class="muted small">
          <kbd>Space</kbd> makes new images, <kbd>0</kbd> to <kbd>9</kbd> those of a class.
        </p>
      </section>
      {studio.problem.value && <ErrorState error={studio.problem.value} onRetry={() => void studio.open(update)} />}
      <PartProgress label="Runtime (onnxruntime-web)" part={studio.parts.runtime.value} />
      <div class="try-results">
        {samplers.map((name) => (
          <Result key={name} name={name} studio={studio} images={Number(images.value)} />
        ))}
        <Comparison studio={studio} />
      </div>
    </div>
  );
}

function Result({ name, studio, images }: { readonly name: SamplerName; readonly studio: Studio; readonly images: number }): VNode {
  const outcome = studio.outcomes[name].value;
  const many = (count: number): string => `${count} ${count === 1 ? 'image' : 'images'}`;
  return (
    <figure class={`try-result try-result-${name}`}>
      <figcaption>
        <h2>{titles[name]}</h2>
        <p class="try-time">
          <strong>{outcome ? formatMilliseconds(outcome.milliseconds) : '-'}</strong> <span class="muted">for {many(outcome?.images ?? images)}</span>
        </p>
      </figcaption>
      <ImageCanvas pixels={outcome?.pixels} images={outcome?.images ?? images} label={outcome ? `${many(outcome.images)} of class ${outcome.label}: ${titles[name]}` : `Nothing made yet: ${titles[name]}`} />
      <PartProgress label={name === 'one-step' ? 'generator.onnx' : 'teacher.onnx'} part={studio.parts[name].value} />
    </figure>
  );
}

/** The times against each other, read out when both are there. */
function Comparison({ studio }: { readonly studio: Studio }): VNode {
  const [one, teacher] = [studio.outcomes['one-step'].value, studio.outcomes.teacher.value];
  const comparable = one && teacher && isSame(one, teacher) && one.calls === CALLS && teacher.calls === CALLS;
  const tokens = studio.metadata.value?.get('dd2.tokens') ?? '';
  const isOver = !studio.isBusy.value;
  return (
    <section class="try-comparison" aria-label="Comparison">
      <p class="try-ratio">{comparable ? <><strong>{formatRatio(teacher.milliseconds / one.milliseconds)}</strong> as fast as the teacher</> : <span class="muted">{isOver ? 'Not compared yet' : 'Measuring ...'}</span>}</p>
      <p class="visually-hidden" role="status" aria-live="polite">
        {comparable && isOver
          ? `Class ${one.label}: ${formatMilliseconds(one.milliseconds)} in one step, ${formatMilliseconds(teacher.milliseconds)} by the teacher, ${formatRatio(teacher.milliseconds / one.milliseconds)} as fast`
          : ''}
      </p>
      <p class="muted small">
        Measured here, in this browser: the time of one call of the model, from class and noise to pixels, the tokenizer's decoder included. Median of {CALLS} calls with the same input on one thread of
        WebAssembly. The generator makes all {tokens} tokens of an image at once; the teacher makes them one after the other, with a key/value cache. Many images at once keep the processor busy with either, so
        that the two come closer.
      </p>
    </section>
  );
}

function isSame(a: Outcome, b: Outcome): boolean {
  return a.images === b.images && a.label === b.label;
}

function checkpointLabel({ update, keptFor }: Checkpoint, isNewest: boolean): string {
  const why = [keptFor.includes('best') ? 'best FID' : '', isNewest ? 'newest' : ''].filter((one) => one !== '').join(', ');
  return `${formatCount(update)}${why === '' ? '' : ` (${why})`}`;
}

/** 0.42 ms, 4.2 ms, 42 ms */
function formatMilliseconds(milliseconds: number): string {
  return `${milliseconds >= 10 ? Math.round(milliseconds) : milliseconds >= 1 ? milliseconds.toFixed(1) : milliseconds.toFixed(2)} ms`;
}

/** 3.5 times */
function formatRatio(ratio: number): string {
  return `${ratio >= 10 ? Math.round(ratio) : ratio.toFixed(1)} times`;
}

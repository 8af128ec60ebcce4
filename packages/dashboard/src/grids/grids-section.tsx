import { useSignal } from '@preact/signals';
import type { ComponentChildren, RefObject, VNode } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { gridUrl } from '../api/client.js';
import type { KnownPlaces } from '../fid/axis-places.js';
import { stepText } from '../fid/figure-text.js';
import { axisLabels, type Axis } from '../charts/axis.js';
import { selectedCell } from '../run/run-params.js';
import { formatCount } from '../view/format.js';
import { CellHistory } from './cell-history.js';
import { CellPicture } from './cell-picture.js';
import { stepBeside } from './current-step.js';
import { GridFigure, type CellHandlers } from './grid-figure.js';
import { gridImages } from './grid-images.js';
import { cellName } from './grid-layout.js';
import { loadingOrder, type GridStep } from './grid-steps.js';
import { StepControls } from './step-controls.js';
import type { StepModel } from './step-model.js';
import './grids.css';

/** Grids that are loaded ahead, on both sides of the one that is shown, once somebody has come to see them. */
const LOADED_AHEAD = 120;

/** A run whose grids are shown. */
export interface GridRun {
  readonly label: string;
  readonly steps: readonly GridStep[];
  readonly places: KnownPlaces;
}

export interface GridsSectionProps {
  readonly run: GridRun;
  readonly model: StepModel;
  readonly axis: Axis;
  /** the run beside it */
  readonly beside: GridRun | undefined;
  /** chooses the run beside it */
  readonly chooser: ComponentChildren;
  /** what is said instead of the grids while there are none */
  readonly empty: ComponentChildren;
  /** what is said where the run beside has nothing to show */
  readonly besideEmpty: ComponentChildren;
}

/** Sample grids over steps: one slider for all grids in view, the same state as the cursor of the charts. */
export function GridsSection({ run, model, axis, beside, chooser, empty, besideEmpty }: GridsSectionProps): VNode {
  const title = useId();
  const hoveredCell = useSignal<number | undefined>(undefined);
  const step = model.current.value;
  const other = step && beside && stepBeside(step, run.places, beside.steps, beside.places, axis);
  const section = useRef<HTMLElement>(null);
  useLoading(run, model.index.value, axis, beside, useSeen(section) ? LOADED_AHEAD : 1);
  useArrowKeys(model);
  useEffect(() => () => model.player.pause(), [model]);
  const cells: CellHandlers = {
    hoveredCell: hoveredCell.value,
    selectedCell: selectedCell.value,
    onHover: (cell) => (hoveredCell.value = cell),
    onSelect: (cell) => (selectedCell.value = cell),
  };
  const sameNoise = step && other && step.noiseSeed === other.noiseSeed;
  return (
    <section class="panel grids" aria-labelledby={title} ref={section}>
      <div class="section-head">
        <h2 id={title}>Sample grids over steps</h2>
        {step && chooser}
      </div>
      {!step ? (
        empty
      ) : (
        <>
          <StepControls
            count={run.steps.length}
            current={model.index.value}
            valueText={stepText(step)}
            onStep={(index) => model.select(index)}
            isFollowing={model.isFollowing}
            onFollow={(follow) => model.follow(follow)}
            player={model.player}
          />
          <p class="muted small grids-note">
            Step {formatCount(model.index.value + 1)} of {formatCount(run.steps.length)}. The noise is fixed: the same cell is the same noise and class at every step
            {other && (sameNoise ? ', and in both runs' : '; the runs have different noise, so that only the class of a cell is the same in both')}. Arrow keys go through the steps.
          </p>
          <div class="grids-row">
            <GridFigure label={run.label} step={step} {...cells} />
            {other && <GridFigure label={beside.label} step={other} note={`nearest step by ${axisLabels[axis]}`} {...cells} />}
            {beside && !other && besideEmpty}
            <div class="cell-side">
              <EnlargedCell cell={cells.hoveredCell ?? cells.selectedCell} shown={[{ label: run.label, step }, ...(other ? [{ label: beside.label, step: other }] : [])]} />
              {selectedCell.value !== undefined && (
                <CellHistory label={run.label} steps={run.steps} current={step} cell={selectedCell.value} onStep={({ update }) => model.select(run.steps.findIndex((one) => one.update === update))} />
              )}
              {selectedCell.value !== undefined && other && (
                <CellHistory
                  label={beside.label}
                  steps={beside.steps}
                  current={other}
                  cell={selectedCell.value}
                  onStep={(chosen) => {
                    const same = stepBeside(chosen, beside.places, run.steps, run.places, axis);
                    model.select(run.steps.findIndex((one) => one.update === same?.update));
                  }}
                />
              )}
            </div>
          </div>
        </>
      )}
    </section>
  );
}

function EnlargedCell({ cell, shown }: { readonly cell: number | undefined; readonly shown: readonly { readonly label: string; readonly step: GridStep }[] }): VNode {
  if (cell === undefined) {
    return (
      <div class="cell-panel">
        <p class="muted small">Point at a cell to see it enlarged; choose it to see it at every step.</p>
      </div>
    );
  }
  return (
    <div class="cell-panel">
      <h3>{cellName(cell)}</h3>
      {shown.map(({ label, step }) => {
        const entry = gridImages.get(gridUrl(step.runId, step.evaluationId));
        return (
          <figure key={step.runId}>
            <CellPicture class="cell-large" image={entry?.state === 'ready' ? entry.picture : undefined} cell={cell} label={`${cellName(cell)} of ${label} at update ${formatCount(step.update)}`} />
            <figcaption class="small">
              {shown.length > 1 && <>{label}, </>}update {formatCount(step.update)}
            </figcaption>
          </figure>
        );
      })}
    </div>
  );
}

/** Whether an element has been in sight since it was made. */
function useSeen(element: RefObject<HTMLElement | null>): boolean {
  const [isSeen, setSeen] = useState(false);
  useEffect(() => {
    if (!element.current) return undefined;
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      setSeen(true);
      observer.disconnect();
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return isSeen;
}

/** Loads the step that is shown, its neighbours, and what is beside them: so many steps in all. */
function useLoading(run: GridRun, index: number, axis: Axis, beside: GridRun | undefined, steps: number): void {
  useEffect(() => {
    const urls = new Set<string>();
    for (const at of loadingOrder(run.steps.length, index, steps)) {
      const step = run.steps[at];
      if (!step) continue;
      const other = beside && stepBeside(step, run.places, beside.steps, beside.places, axis);
      for (const one of [step, other]) if (one) urls.add(gridUrl(one.runId, one.evaluationId));
    }
    if (steps > 1) for (const step of beside?.steps ?? []) urls.add(gridUrl(step.runId, step.evaluationId));
    gridImages.want([...urls]);
  }, [run.steps, index, beside?.steps, axis, run.places, beside?.places, steps]);
}

/** The arrow keys go through the steps wherever on the page, as long as nothing else has the focus. */
function useArrowKeys(model: StepModel): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const isFree = event.target === document.body || (event.target instanceof HTMLElement && event.target.id === 'main');
      if (by === undefined || !isFree || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      model.select(model.index.peek() + by);
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [model]);
}

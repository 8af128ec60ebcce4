import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { gridUrl } from '../api/client.js';
import { formatCount } from '../view/format.js';
import { CellPicture } from './cell-picture.js';
import { gridImages } from './grid-images.js';
import { cellName } from './grid-layout.js';
import type { GridStep } from './grid-steps.js';

export interface CellHistoryProps {
  readonly label: string;
  readonly steps: readonly GridStep[];
  /** the step that is shown */
  readonly current: GridStep | undefined;
  readonly cell: number;
  readonly onStep: (step: GridStep) => void;
}

/** The same cell, the same noise, at every step. */
export function CellHistory({ label, steps, current, cell, onStep }: CellHistoryProps): VNode {
  const list = useRef<HTMLOListElement>(null);
  const shown = current?.update;
  useEffect(() => {
    // Only the strip scrolls: scrollIntoView would move the page as well.
    const element = list.current;
    const active = element?.querySelector<HTMLElement>('[aria-current]');
    if (element && active) element.scrollTop = active.offsetTop - (element.clientHeight - active.clientHeight) / 2;
  }, [shown]);
  return (
    <div class="cell-history">
      <h3>
        {label}: {cellName(cell)} over the steps
      </h3>
      <ol ref={list} class="cell-strip">
        {steps.map((step) => {
          const entry = gridImages.get(gridUrl(step.runId, step.evaluationId));
          return (
            <li key={step.evaluationId}>
              <button type="button" class="cell-step" aria-current={step.update === shown ? 'step' : undefined} aria-label={`Update ${formatCount(step.update)}`} onClick={() => onStep(step)}>
                <CellPicture image={entry?.state === 'ready' ? entry.picture : undefined} cell={cell} label="" />
                <span>{formatCount(step.update)}</span>
              </button>
            </li>
          );
        })}
      </ol>
    </div>
  );
}

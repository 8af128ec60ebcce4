import type { VNode } from 'preact';
import { figureText, stepText } from '../fid/figure-text.js';
import { gridUrl } from '../api/client.js';
import { formatCount } from '../view/format.js';
import { GridPicture, type GridPictureProps } from './grid-picture.js';
import type { GridStep } from './grid-steps.js';

export type CellHandlers = Pick<GridPictureProps, 'hoveredCell' | 'selectedCell' | 'onHover' | 'onSelect'>;

/** One run's grid at a step, with the step's figures. */
export function GridFigure({ label, step, note, ...cells }: { readonly label: string; readonly step: GridStep; readonly note?: string } & CellHandlers): VNode {
  return (
    <figure class="grid-figure" data-run={step.runId} data-update={step.update}>
      <GridPicture url={gridUrl(step.runId, step.evaluationId)} label={`Sample grid of ${label}: ${stepText(step)}. Ten columns, one class per column.`} {...cells} />
      <figcaption>
        <strong>{label}</strong>
        <span>
          update <b>{formatCount(step.update)}</b>
        </span>
        <span>
          <b>{formatCount(step.generatorUpdates)}</b> generator updates
        </span>
        <span>
          FID <b>{figureText(step)}</b>
        </span>
        {note !== undefined && <span class="muted">{note}</span>}
      </figcaption>
    </figure>
  );
}

import type { Evaluation, Run } from '@dd2/proto';
import { fidCurveOf } from '../fid-curve.js';
import { plotCurves } from '../render/curve-plot.js';
import { cycleInFull } from '../render/cycle.js';
import { formatCount } from '../render/format.js';
import { bestFid, lastFid, stateCell } from '../render/run-table.js';
import { joined, lossOf, paceOf, type ShownEvent } from '../render/run-view.js';
import { plain, type Paint } from '../render/terminal.js';
import { printable } from '../render/text.js';

export interface Screen {
  readonly columns: number;
  readonly rows: number;
  readonly unicode: boolean;
  readonly paint: Paint;
}

const BAR_COLUMNS = 24;
const MOST_COLUMNS = 100;
const MOST_ROWS = 16;
/** lines of the view that are no plot, the last events above it, and the cursor's own */
const OTHER_ROWS = 10;

/** A run as it is watched: what its last event says, and the FID curve so far. */
export class WatchView {
  #event: ShownEvent | undefined;

  constructor(
    private run: Run,
    private evaluations: readonly Evaluation[],
  ) {}

  /** Updates of the newest measurement that is drawn. */
  get measuredUntil(): number {
    return Math.max(-1, ...this.evaluations.map(({ update }) => update));
  }

  refresh(run: Run, evaluations: readonly Evaluation[]): void {
    this.run = run;
    this.evaluations = evaluations;
  }

  take(event: ShownEvent & Pick<Run, 'state'>): void {
    this.#event = event;
    this.run = { ...this.run, state: event.state };
  }

  /** Lines of the status, the plot included where there is room for it. */
  status({ columns, rows, unicode, paint }: Screen): string {
    const { run } = this;
    // Until the first event comes, nobody has said how many workers there are.
    const event = this.#event ?? { ...run, metrics: {}, workers: undefined };
    const state = stateCell(run.state);
    const head = joined([
      paint('bold', run.runId),
      typeof state === 'string' ? state : paint(...state),
      event.phase,
      `${formatCount(event.update)}/${formatCount(event.totalUpdates)}`,
      progressBar(event.totalUpdates === 0 ? 0 : event.update / event.totalUpdates, unicode, paint),
    ]);
    const place = cycleInFull(event);
    const position = joined([place === '' ? event.network : place, lossOf(event)]);
    const pace = joined(paceOf(event));
    const measured = run.bestFid === undefined && run.lastFid === undefined ? '' : joined([`last FID ${lastFid(run)}`, run.bestFid === undefined ? '' : `best ${bestFid(run)}`]);
    const waiting = run.waitingFor === '' ? '' : paint('yellow', `waits for ${printable(run.waitingFor)}`);
    return [head, position, pace, measured, waiting, ...this.curve({ columns, rows: rows - OTHER_ROWS, unicode, paint })].filter((line) => line !== '').join('\n');
  }

  /** The FID curve; no lines where there are not two points, or no room. */
  curve({ columns, rows, unicode, paint = plain }: Screen): string[] {
    const { curve, references } = fidCurveOf(this.run, this.evaluations);
    if (curve.points.length < 2) return [];
    return plotCurves({ curves: [curve], references, xLabel: 'updates', width: Math.min(columns - 1, MOST_COLUMNS), height: Math.min(rows, MOST_ROWS), unicode, paint });
  }
}

/** `[#####.....]  42 %` */
function progressBar(share: number, unicode: boolean, paint: Paint): string {
  const full = Math.floor(Math.min(1, Math.max(0, share)) * BAR_COLUMNS);
  const [done, left] = unicode ? ['█', '░'] : ['#', '.'];
  return `${paint('cyan', done.repeat(full))}${paint('dim', left.repeat(BAR_COLUMNS - full))}  ${Math.floor(100 * share)} %`;
}

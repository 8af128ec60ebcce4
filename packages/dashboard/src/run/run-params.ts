import { choice, list, number, param, text } from '../view/view-state.js';

/** Runs that are drawn beside the page's own. */
export const MAX_OVERLAID = 7;

/** Ids of the overlaid runs. */
export const overlaidRuns = param('runs', { ...list(MAX_OVERLAID), history: 'push' });
/** Update that the slider of the sample grids stands at; the newest when undefined. */
export const selectedUpdate = param('at', number(undefined, { min: 0, isWhole: true }));
/** Run whose grids are shown beside the page's own; empty for none. */
export const comparedRun = param('compare', { ...text(), history: 'push' });
/** Cell of the grids whose history is shown. */
export const selectedCell = param('cell', { ...number(undefined, { min: 0, max: 9999, isWhole: true }), history: 'push' });
/** Runs of the page that are not drawn for the moment. */
export const hiddenRuns = param('hide', list(MAX_OVERLAID + 1));
/** Whether FID is drawn on a logarithmic axis: it falls over decades. */
export const fidScale = param('fidy', choice(['log', 'linear']));

const tabIds = ['overview', 'events', 'spec', 'checkpoints'] as const;
export type RunTab = (typeof tabIds)[number];
/** What of the run is shown. */
export const runTab = param('tab', choice<RunTab>(tabIds, 'push'));

import type { RunData } from './run-data.js';

/** A run of the page with how it is drawn: the same label, colour and dashes in every chart. */
export interface ShownRun {
  readonly runId: string;
  readonly data: RunData;
  readonly label: string;
  readonly colour: string;
  readonly dash: readonly number[];
}

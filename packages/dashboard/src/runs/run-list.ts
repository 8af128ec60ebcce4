import type { Run } from '../api/client.js';
import type { Sorting } from '../ui/table.js';
import { runStates } from './run-states.js';

export const sortKeys = ['name', 'state', 'phase', 'progress', 'rate', 'eta', 'fid', 'best', 'priority', 'created', 'updated'] as const;
export type SortKey = (typeof sortKeys)[number];
export const defaultSorting: Sorting<SortKey> = { by: 'created', isDescending: true };

/** What is compared; undefined for what a run does not have, which comes last either way. */
const sortValues: Readonly<Record<SortKey, (run: Run) => number | string | undefined>> = {
  name: (run) => `${run.name} ${run.runId}`,
  state: (run) => runStates[run.state].order,
  phase: (run) => (run.phase === '' ? undefined : run.phase),
  progress: (run) => progressOf(run),
  rate: (run) => finite(run.updatesPerSecond),
  eta: (run) => finite(run.etaSeconds),
  fid: (run) => finite(run.lastFid),
  best: (run) => finite(run.bestFid),
  priority: (run) => run.priority,
  created: (run) => finite(Date.parse(run.createdAt)),
  updated: (run) => finite(Date.parse(run.updatedAt)),
};

/** Share of the run's updates that are done, from 0 to 1. */
export function progressOf({ update, totalUpdates }: Pick<Run, 'update' | 'totalUpdates'>): number {
  return totalUpdates > 0 ? Math.min(1, update / totalUpdates) : 0;
}

function finite(value: number | string | undefined): number | undefined {
  const number = Number(value);
  return value !== undefined && Number.isFinite(number) ? number : undefined;
}

/** Sorted copy; equal runs newest first, so that the order does not jump while runs go on. */
export function sortRuns(runs: readonly Run[], { by, isDescending }: Sorting<SortKey>): readonly Run[] {
  const valueOf = sortValues[by];
  return [...runs].sort((a, b) => {
    const [one, other] = [valueOf(a), valueOf(b)];
    if (one === undefined || other === undefined) {
      if (one !== other) return one === undefined ? 1 : -1;
    } else if (one !== other) {
      const order = typeof one === 'string' ? one.localeCompare(String(other), 'en', { numeric: true }) : one - Number(other);
      if (order !== 0) return isDescending ? -order : order;
    }
    return Date.parse(b.createdAt) - Date.parse(a.createdAt) || (a.runId < b.runId ? -1 : 1);
  });
}

/** The runs whose name, id or phase has every word of the text, and that are in one of the states (all when none is named). */
export function filterRuns(runs: readonly Run[], text: string, states: readonly string[]): readonly Run[] {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== '');
  return runs.filter((run) => {
    const { word } = runStates[run.state];
    const haystack = `${run.name} ${run.runId} ${run.phase}`.toLowerCase();
    return (states.length === 0 || states.includes(word)) && words.every((one) => haystack.includes(one));
  });
}

/** A sorting in the URL: `best` upwards, `-best` downwards. */
export function parseSorting(text: string): Sorting<SortKey> | undefined {
  const isDescending = text.startsWith('-');
  const by = sortKeys.find((key) => key === (isDescending ? text.slice(1) : text));
  return by && { by, isDescending };
}

export function formatSorting({ by, isDescending }: Sorting): string {
  return `${isDescending ? '-' : ''}${by}`;
}

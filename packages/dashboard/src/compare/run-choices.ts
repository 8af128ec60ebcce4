import type { Run } from '../api/messages.js';
import { filterRuns } from '../runs/run-list.js';

/** Runs that can be chosen, newest first: all but those that are excluded, with every word of the text in name, id or phase. */
export function runChoices(runs: Iterable<Run>, excluded: readonly string[], text = ''): readonly Run[] {
  const others = [...runs].filter(({ runId }) => !excluded.includes(runId));
  return [...filterRuns(others, text, [])].sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt) || a.runId.localeCompare(b.runId));
}

/** The list of overlaid runs in a URL as it can be drawn: each once, without the page's own, at most `most`. */
export function drawnIds(own: string, overlaid: readonly string[], most: number): readonly string[] {
  return [own, ...[...new Set(overlaid)].filter((runId) => runId !== own).slice(0, most)];
}

import { useEffect, useRef } from 'preact/hooks';
import { getRun, getSeries, listEvaluations } from '../api/client.js';
import { watchRuns } from '../api/live.js';
import { RunData, type RunSource } from './run-data.js';

const coordinator: RunSource = {
  getRun,
  listEvaluations,
  getPositions: async (runId, updates) => (await getSeries(runId, { positions: updates })).positions,
  watchRuns,
};

/** What is known of these runs, kept up to date while the caller is shown; a run that stays in the list keeps what it has. */
export function useRunData(runIds: readonly string[]): readonly RunData[] {
  const open = useRef(new Map<string, RunData>()).current;
  const data = runIds.map((runId) => {
    const known = open.get(runId) ?? new RunData(runId, coordinator);
    open.set(runId, known);
    return known;
  });
  useEffect(() => {
    for (const [runId, known] of open) {
      if (runIds.includes(runId)) continue;
      known.close();
      open.delete(runId);
    }
  }, [runIds.join(',')]);
  useEffect(
    () => () => {
      for (const known of open.values()) known.close();
      open.clear();
    },
    [],
  );
  return data;
}

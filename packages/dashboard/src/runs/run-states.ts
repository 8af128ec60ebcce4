import type { RunState } from '../api/client.js';
import type { Tone } from '../ui/badge.js';

/** Words, colour and order of the states of a run. */
export const runStates: Readonly<Record<RunState, { readonly word: string; readonly tone: Tone; readonly order: number }>> = {
  RUN_STATE_UNSPECIFIED: { word: 'unknown', tone: 'neutral', order: 9 },
  RUN_STATE_RUNNING: { word: 'running', tone: 'active', order: 0 },
  RUN_STATE_PAUSING: { word: 'pausing', tone: 'warn', order: 1 },
  RUN_STATE_QUEUED: { word: 'queued', tone: 'neutral', order: 2 },
  RUN_STATE_PAUSED: { word: 'paused', tone: 'warn', order: 3 },
  RUN_STATE_FAILED: { word: 'failed', tone: 'bad', order: 4 },
  RUN_STATE_COMPLETED: { word: 'completed', tone: 'good', order: 5 },
  RUN_STATE_CANCELLED: { word: 'cancelled', tone: 'neutral', order: 6 },
};

export type RunAction = 'pause' | 'resume' | 'cancel';

/** What can be done with a run in this state. */
export function actionsOf(state: RunState): readonly RunAction[] {
  switch (state) {
    case 'RUN_STATE_QUEUED':
    case 'RUN_STATE_RUNNING':
      return ['pause', 'cancel'];
    case 'RUN_STATE_PAUSED':
      return ['resume', 'cancel'];
    case 'RUN_STATE_FAILED':
      return ['resume'];
    case 'RUN_STATE_PAUSING':
      return ['cancel'];
    case 'RUN_STATE_COMPLETED':
    case 'RUN_STATE_CANCELLED':
    case 'RUN_STATE_UNSPECIFIED':
      return [];
  }
}

import type { RunEvent } from '@dd2/proto';
import { cycleInShort, type CyclePlace } from './cycle.js';
import { formatCount, formatDuration, formatFid, formatLoss } from './format.js';
import { printable } from './text.js';

/** What of an event is shown. */
export type ShownEvent = CyclePlace & Pick<RunEvent, 'phase' | 'update' | 'totalUpdates' | 'fid' | 'fidSamples' | 'updatesPerSecond' | 'etaSeconds' | 'message' | 'metrics' | 'workers'>;

/** Turns a run's events into lines that stay and one status line; remembers the FID, which later events do not repeat. */
export class RunView {
  #fid = '';

  take(event: ShownEvent): { readonly lines: readonly string[]; readonly status: string } {
    if (event.fid !== undefined) this.#fid = `FID ${formatFid(event.fid, event.fidSamples)}`;
    // Plain progress has no message.
    return { lines: event.message === '' ? [] : [printable(event.message)], status: this.#status(event) };
  }

  #status(event: ShownEvent): string {
    return joined([event.phase, `${formatCount(event.update)}/${formatCount(event.totalUpdates)}`, cycleInShort(event), lossOf(event), this.#fid, ...paceOf(event)]);
  }
}

/** `loss 0.3571`; empty where there is none */
export const lossOf = ({ metrics: { loss } }: Pick<ShownEvent, 'metrics'>): string => (loss === undefined ? '' : `loss ${formatLoss(loss)}`);

/** Rate, time left, workers. */
export function paceOf({ updatesPerSecond, etaSeconds, workers }: Pick<ShownEvent, 'updatesPerSecond' | 'etaSeconds'> & { readonly workers?: number | undefined }): string[] {
  return [
    updatesPerSecond === undefined ? '' : `${updatesPerSecond.toFixed(1)} updates/s`,
    etaSeconds === undefined ? '' : `${formatDuration(etaSeconds)} left`,
    workers === undefined ? '' : `${workers} ${workers === 1 ? 'worker' : 'workers'}`,
  ];
}

export const joined = (parts: readonly string[]): string => parts.filter((part) => part !== '').join('  ');

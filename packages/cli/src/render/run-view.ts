import type { RunEvent } from '@dd2/proto';
import { formatCount, formatDuration, formatFid, formatLoss } from './format.js';

/** What of an event is shown. */
export type ShownEvent = Pick<
  RunEvent,
  'phase' | 'update' | 'totalUpdates' | 'cyclePosition' | 'cycleLength' | 'cycleGuidance' | 'generatorUpdates' | 'fid' | 'fidSamples' | 'updatesPerSecond' | 'etaSeconds' | 'message' | 'metrics' | 'workers' | 'network'
>;

/** Turns a run's events into lines that stay and one status line; remembers the FID, which later events do not repeat. */
export class RunView {
  #fid = '';

  take(event: ShownEvent): { readonly lines: readonly string[]; readonly status: string } {
    if (event.fid !== undefined) this.#fid = `FID ${formatFid(event.fid, event.fidSamples)}`;
    // Plain progress has no message.
    return { lines: event.message === '' ? [] : [event.message], status: this.#status(event) };
  }

  #status(event: ShownEvent): string {
    const { loss } = event.metrics;
    return [
      event.phase,
      `${formatCount(event.update)}/${formatCount(event.totalUpdates)}`,
      cyclePosition(event),
      loss === undefined ? '' : `loss ${formatLoss(loss)}`,
      this.#fid,
      event.updatesPerSecond === undefined ? '' : `${event.updatesPerSecond.toFixed(1)} updates/s`,
      event.etaSeconds === undefined ? '' : `${formatDuration(event.etaSeconds)} left`,
      `${event.workers} ${event.workers === 1 ? 'worker' : 'workers'}`,
    ]
      .filter((part) => part !== '')
      .join('  ');
  }
}

/** `guidance 2/3 of 3:1`: where in the declared cycle the update stood. */
function cyclePosition({ cyclePosition: position, cycleLength, cycleGuidance: guidance, network }: ShownEvent): string {
  if (cycleLength === 0) return network;
  const generator = cycleLength - guidance;
  const inside = position < guidance ? `guidance ${position + 1}/${guidance}` : `generator ${position - guidance + 1}/${generator}`;
  return `${inside} of ${guidance}:${generator}`;
}

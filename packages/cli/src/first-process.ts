import { constants } from 'node:os';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** How shells count what a signal has ended. */
const SIGNALLED = 128;

/**
 * The first process of a container has no default reaction to signals, so that one that does not listen would wait for the end of
 * its grace period. Here it ends, unless something else has come to listen.
 * @param source `process`, or a stand-in
 */
export function endWithSignals(source: Pick<NodeJS.Process, 'pid' | 'on' | 'listenerCount'> = process, exit: (code: number) => void = (code) => process.exit(code)): void {
  if (source.pid !== 1) return;
  for (const signal of signals) {
    source.on(signal, () => {
      if (source.listenerCount(signal) === 1) exit(SIGNALLED + constants.signals[signal]);
    });
  }
}

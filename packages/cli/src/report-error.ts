import { fromStatus } from '@dd2/proto';
import type { WorkerFailure } from './cluster/worker-supervisor.js';

/** A clean stop that a signal asked for, as shells count it. */
export const INTERRUPTED = 130;

/**
 * Prints `error CODE: message` on stderr, with the stack and the causes when asked to. A process with a supervisor tells that
 * one instead, which decides by the code whether starting again can help. Returns the exit code.
 */
export function reportError(thrown: unknown, verbose: boolean, write: (text: string) => void = (text) => process.stderr.write(text)): number {
  const error = fromStatus(thrown);
  if (process.connected) tellSupervisor({ code: error.code, message: error.message });
  else write(`error ${error.code}: ${error.message.replaceAll(/\s*\n\s*/g, ' ')}\n`);
  if (verbose) {
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) write(`${cause.stack ?? cause.message}\n`);
  } else if (error.code === 'INTERNAL') write('Run it again with --verbose to see where it comes from.\n');
  return 1;
}

/** The open channel would keep this process alive. */
function tellSupervisor(failure: WorkerFailure): void {
  process.send?.(failure, undefined, undefined, () => process.disconnect());
}

import { errorCodes, type Dd2Error } from '@dd2/core';
import { fromStatus } from '@dd2/proto';
import type { WorkerFailure } from './cluster/worker-supervisor.js';
import { exitCodeOf } from './exit-codes.js';
import { printable } from './render/text.js';

export interface ReportOptions {
  /** print stacks of the error and its causes too */
  readonly verbose: boolean;
  /** one JSON object instead of a line for people */
  readonly json?: boolean;
  readonly write?: (text: string) => void;
}

/**
 * Prints `error CODE: message` on stderr, with the stack and the causes when asked to. A process with a supervisor tells that
 * one instead, which decides by the code whether starting again can help. Returns the exit code.
 */
export function reportError(thrown: unknown, { verbose, json = false, write = (text) => process.stderr.write(text) }: ReportOptions): number {
  const error = fromStatus(thrown);
  if (process.connected) tellSupervisor({ code: error.code, message: error.message });
  else write(json ? `${JSON.stringify({ error: plainError(error) })}\n` : `error ${error.code}: ${printable(error.message)}\n`);
  if (verbose) {
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) write(`${cause.stack ?? cause.message}\n`);
  } else if (error.code === 'INTERNAL' && !json) write('Run it again with --verbose to see where it comes from.\n');
  return exitCodeOf(error);
}

/** An error for JSON, as REST has it. */
export function plainError(error: Dd2Error): object {
  const { code, message, field = '', remedy = '' } = error;
  return { code, message, field, remedy, retryable: errorCodes[code].retryable };
}

/** The open channel would keep this process alive. */
function tellSupervisor(failure: WorkerFailure): void {
  process.send?.(failure, undefined, undefined, () => process.disconnect());
}

import { errorCodes, type Dd2Error, type ErrorCode } from '@dd2/core';
import { fromStatus } from '@dd2/proto';
import type { Logger } from 'pino';
import type { WorkerFailure } from './cluster/worker-supervisor.js';
import { exitCodeOf } from './exit-codes.js';
import { printable } from './render/text.js';

export interface ReportOptions {
  /** print stacks of the error and its causes too */
  readonly verbose: boolean;
  /** one JSON object instead of a line for people */
  readonly json?: boolean;
  /** the log of a service that prints nothing else */
  readonly logger?: Logger | undefined;
  readonly write?: (text: string) => void;
}

/**
 * Prints `error CODE: message` on stderr, with the stack and the causes when asked to. A process with a supervisor tells that
 * one instead, which decides by the code whether starting again can help. Returns the exit code.
 */
export function reportError(thrown: unknown, { verbose, json = false, logger, write = (text) => process.stderr.write(text) }: ReportOptions): number {
  const error = fromStatus(thrown);
  if (process.connected) tellSupervisor({ code: error.code, message: error.message });
  else if (logger) logError(logger, error, verbose);
  else write(json ? `${JSON.stringify({ error: plainError(error) })}\n` : `error ${error.code}: ${printable(error.message)}\n`);
  if (logger) return exitCodeOf(error);
  if (verbose) {
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) write(`${cause.stack ?? cause.message}\n`);
  } else if (error.code === 'INTERNAL' && !json) write('Run it again with --verbose to see where it comes from.\n');
  return exitCodeOf(error);
}

/** Causes may hold what must not be shown among their properties: their stacks are words. */
function logError(logger: Logger, error: Dd2Error, verbose: boolean): void {
  const { code, field, remedy, retryable } = plainError(error);
  const stacks: string[] = [];
  for (let cause: unknown = error; (verbose || code === 'INTERNAL') && cause instanceof Error; cause = cause.cause) stacks.push(cause.stack ?? cause.message);
  logger.error({ code, field, remedy, retryable, ...(stacks.length > 0 && { stack: stacks.join('\n') }) }, error.message);
}

/** An error for JSON, as REST has it. */
export function plainError(error: Dd2Error): { readonly code: ErrorCode; readonly message: string; readonly field: string; readonly remedy: string; readonly retryable: boolean } {
  const { code, message, field = '', remedy = '' } = error;
  return { code, message, field, remedy, retryable: errorCodes[code].retryable };
}

/** The open channel would keep this process alive. */
function tellSupervisor(failure: WorkerFailure): void {
  process.send?.(failure, undefined, undefined, () => process.disconnect());
}

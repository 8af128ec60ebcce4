import { Dd2Error, type ErrorCode } from '@dd2/core';

type Details = Readonly<Record<string, string | number>>;

/** A `Dd2Error` as data: structured cloning keeps neither the class nor the extra fields of an error. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly field: string | undefined;
  readonly remedy: string | undefined;
  readonly details: Details;
  readonly stack: string | undefined;
}

/** The stack is that of the error at the bottom, which tells more than that of its wrapping. */
export function toRecord(thrown: unknown): ErrorRecord {
  const { code, message, field, remedy, details, stack, cause } = Dd2Error.from(thrown);
  return { code, message, field, remedy, details, stack: cause instanceof Error ? cause.stack : stack };
}

/** The same error on the other side; the stack of its origin becomes its cause. */
export function fromRecord(record: ErrorRecord): Dd2Error {
  const cause = new Error(record.message);
  if (record.stack !== undefined) cause.stack = record.stack;
  return rebuild(record, record.details, cause);
}

/** What was thrown, as a `Dd2Error` that also says where: details that it has already are kept. */
export function locate(thrown: unknown, details: Details): Dd2Error {
  const error = Dd2Error.from(thrown);
  return rebuild(error, { ...details, ...error.details }, error.cause ?? error);
}

/** `message` is final here: it holds the field and the remedy already. */
function rebuild(error: Pick<Dd2Error, 'code' | 'message' | 'field' | 'remedy'>, details: Details, cause: unknown): Dd2Error {
  const { code, message, field, remedy } = error;
  const copy = new Dd2Error(code, message, { field, remedy, details, cause });
  copy.message = message;
  return copy;
}

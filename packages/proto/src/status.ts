import { Metadata, status as grpcStatus, type StatusObject } from '@grpc/grpc-js';
import { create } from '@bufbuild/protobuf';
import { Dd2Error, errorCodes, type Dd2ErrorOptions, type ErrorCode } from '@dd2/core';
import { connectionFailure } from './connection-failure.js';
import { ErrorDetailSchema, type ErrorDetail } from './gen/dd2/v1/error_pb.js';

const CODE_KEY = 'dd2-code';
// Binary metadata carries any text; plain metadata only printable ASCII.
const FIELD_KEY = 'dd2-field-bin';
const REMEDY_KEY = 'dd2-remedy-bin';
/** milliseconds after which trying again can help; the name is gRPC's own */
const RETRY_KEY = 'grpc-retry-pushback-ms';

/** Header blocks have limits of a few tens of KiB in most peers, so texts are cut. */
const MAX_MESSAGE_LENGTH = 4_096;
const MAX_FIELD_LENGTH = 1_024;

/** What a status without our metadata means: it comes from the transport or from another implementation. */
const foreignCodes: Readonly<Record<number, ErrorCode>> = {
  [grpcStatus.CANCELLED]: 'CANCELLED',
  [grpcStatus.INVALID_ARGUMENT]: 'INVALID_ARGUMENT',
  [grpcStatus.DEADLINE_EXCEEDED]: 'UNAVAILABLE',
  [grpcStatus.RESOURCE_EXHAUSTED]: 'PROTOCOL',
  [grpcStatus.UNIMPLEMENTED]: 'PROTOCOL',
  [grpcStatus.UNAVAILABLE]: 'UNAVAILABLE',
  [grpcStatus.UNAUTHENTICATED]: 'UNAUTHENTICATED',
};

/** The gRPC status of an error: its registered code, the message, and code, field, remedy and `retryAfterMs` of the details as metadata. */
export function toStatus(thrown: unknown): StatusObject {
  const error = Dd2Error.from(thrown);
  const metadata = new Metadata();
  metadata.set(CODE_KEY, error.code);
  if (error.field !== undefined) metadata.set(FIELD_KEY, Buffer.from(cut(error.field, MAX_FIELD_LENGTH)));
  if (error.remedy !== undefined) metadata.set(REMEDY_KEY, Buffer.from(cut(error.remedy, MAX_FIELD_LENGTH)));
  const { retryAfterMs } = error.details;
  if (retryAfterMs !== undefined) metadata.set(RETRY_KEY, String(retryAfterMs));
  return { code: errorCodes[error.code].grpc, details: cut(error.message, MAX_MESSAGE_LENGTH), metadata };
}

/** The error that a failed call means: the inverse of `toStatus`, and a sensible code for anything else. */
export function fromStatus(thrown: unknown): Dd2Error {
  if (thrown instanceof Dd2Error) return thrown;
  if (!isStatus(thrown)) return Dd2Error.from(thrown, isPrematureClose(thrown) ? 'CANCELLED' : 'INTERNAL');
  const sent = textOf(thrown.metadata, CODE_KEY);
  if (isErrorCode(sent)) {
    const { metadata } = thrown;
    const retryAfterMs = Number(textOf(metadata, RETRY_KEY) ?? NaN);
    return rebuild(sent, thrown.details, { field: textOf(metadata, FIELD_KEY), remedy: textOf(metadata, REMEDY_KEY), details: retryAfterMs >= 0 ? { retryAfterMs } : {}, cause: thrown });
  }
  const failure = thrown.code === grpcStatus.UNAVAILABLE ? connectionFailure(thrown.details, thrown) : undefined;
  if (failure) return failure;
  return new Dd2Error(foreignCodes[thrown.code] ?? 'INTERNAL', thrown.details, { cause: thrown });
}

/** An error as a message. */
export function toErrorDetail(thrown: unknown): ErrorDetail {
  const error = Dd2Error.from(thrown);
  return create(ErrorDetailSchema, { code: error.code, message: error.message, field: error.field ?? '', remedy: error.remedy ?? '' });
}

/** The inverse of `toErrorDetail`, with identifiers if there are any; a code that this version does not know becomes INTERNAL. */
export function fromErrorDetail(detail: ErrorDetail, details: Dd2ErrorOptions['details'] = {}): Dd2Error {
  const code = isErrorCode(detail.code) ? detail.code : 'INTERNAL';
  return rebuild(code, detail.message, { field: detail.field || undefined, remedy: detail.remedy || undefined, details });
}

/** `Dd2Error` writes its message as problem (field). remedy; only the problem goes back into the constructor. */
function rebuild(code: ErrorCode, message: string, options: Dd2ErrorOptions): Dd2Error {
  const { field, remedy } = options;
  let problem = message;
  if (remedy !== undefined) problem = withoutSuffix(problem, `. ${remedy}`);
  if (field !== undefined) problem = withoutSuffix(problem, ` (${field})`);
  return new Dd2Error(code, problem, options);
}

function withoutSuffix(text: string, suffix: string): string {
  return text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
}

/** At most `length` UTF-16 units of valid Unicode: grpc-js percent-encodes the message and fails on a lone surrogate. */
function cut(text: string, length: number): string {
  return Buffer.from(text.slice(0, length), 'utf8').toString('utf8');
}

function textOf(metadata: Metadata | undefined, key: string): string | undefined {
  const value = metadata?.get(key)[0];
  return value === undefined ? undefined : value.toString();
}

function isErrorCode(value: string | undefined): value is ErrorCode {
  return value !== undefined && Object.hasOwn(errorCodes, value);
}

function isStatus(thrown: unknown): thrown is StatusObject {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown) || !('details' in thrown)) return false;
  return typeof thrown.code === 'number' && typeof thrown.details === 'string';
}

function isPrematureClose(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_STREAM_PREMATURE_CLOSE';
}

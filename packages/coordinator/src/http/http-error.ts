import { Dd2Error, errorCodes } from '@dd2/core';

/** What a failed request is answered. */
export interface HttpError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { readonly error: ErrorBody };
  /** what was thrown, for the log */
  readonly error: Dd2Error;
}

export interface ErrorBody {
  readonly code: string;
  /** problem (field). remedy */
  readonly message: string;
  /** empty when there is none */
  readonly field: string;
  /** empty when there is nothing to do */
  readonly remedy: string;
  readonly retryable: boolean;
}

/** The answer that a thrown value means. @param status other than the one of the code */
export function httpError(thrown: unknown, status?: number): HttpError {
  const found = ofServer(thrown);
  const error = found?.error ?? Dd2Error.from(thrown);
  const { code, message, field = '', remedy = '', retryable, details } = error;
  const { retryAfterMs } = details;
  return {
    status: status ?? found?.status ?? errorCodes[code].http,
    headers: {
      ...(code === 'UNAUTHENTICATED' ? { 'www-authenticate': 'Bearer realm="dd2"' } : {}),
      ...(retryAfterMs === undefined ? {} : { 'retry-after': String(Math.ceil(Number(retryAfterMs) / 1_000)) }),
    },
    body: { error: { code, message, field, remedy, retryable } },
    error,
  };
}

/** What the HTTP server itself finds wrong with a request. */
const known: Readonly<Record<string, readonly [problem: string, remedy: string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['the body is too large', 'At most 1 MiB is taken'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['the body is not JSON', 'Send it with content-type: application/json'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['the body is not valid JSON', 'Correct it'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['the body is empty', 'Send {} or leave out the content-type'],
  FST_ERR_MAX_PARAM_LENGTH: ['a part of the path is too long', 'List what there is, and use a name from there'],
  FST_ERR_BAD_URL: ['the path cannot be decoded', 'Encode it as a URL'],
  FST_STATIC_FORBIDDEN_PATH: ['there is no such path', 'Start at /'],
};

/** An error of the HTTP server that is the client's doing. */
function ofServer(thrown: unknown): { readonly error: Dd2Error; readonly status: number } | undefined {
  if (!(thrown instanceof Error) || thrown instanceof Dd2Error) return undefined;
  const status = 'statusCode' in thrown && typeof thrown.statusCode === 'number' ? thrown.statusCode : undefined;
  if (status === undefined || status < 400 || status >= 500) return undefined;
  const [problem, remedy] = known['code' in thrown ? String(thrown.code) : ''] ?? [thrown.message, undefined];
  return { error: new Dd2Error('INVALID_ARGUMENT', problem, { remedy, cause: thrown }), status };
}

/** What the coordinator, or the way to it, answered instead of the result. Codes are those of packages/core/src/errors.ts. */
export class ApiError extends Error {
  readonly code: string;
  readonly field: string | undefined;
  readonly remedy: string | undefined;
  readonly retryable: boolean;
  /** HTTP status; 0 when there was no answer */
  readonly status: number;

  constructor(problem: { readonly code: string; readonly message: string; readonly field?: string | undefined; readonly remedy?: string | undefined; readonly retryable?: boolean; readonly status?: number }, cause?: unknown) {
    super(problem.message, cause === undefined ? undefined : { cause });
    this.name = 'ApiError';
    this.code = problem.code;
    this.field = problem.field;
    this.remedy = problem.remedy;
    this.retryable = problem.retryable ?? false;
    this.status = problem.status ?? 0;
  }

  /** Anything thrown as an ApiError; one that is one passes through. */
  static from(thrown: unknown): ApiError {
    if (thrown instanceof ApiError) return thrown;
    return new ApiError({ code: 'INTERNAL', message: thrown instanceof Error ? thrown.message : String(thrown), remedy: 'Reload the page' }, thrown);
  }
}

/** The problem in an answer's body. Whatever a proxy in between answers becomes one too. */
export function problemFrom(body: unknown, status: number): ApiError {
  const problem = record(record(body)?.['error']);
  if (typeof problem?.['code'] === 'string' && typeof problem['message'] === 'string') {
    return new ApiError({ code: problem['code'], message: problem['message'], field: text(problem['field']), remedy: text(problem['remedy']), retryable: problem['retryable'] === true, status });
  }
  if (status === 401) return new ApiError({ code: 'UNAUTHENTICATED', message: 'a token is needed', remedy: 'Log in with the API token', status });
  const gone = status === 502 || status === 503 || status === 504;
  return new ApiError({
    code: gone ? 'UNAVAILABLE' : 'PROTOCOL',
    message: gone ? 'the coordinator cannot be reached' : `the server answered with status ${String(status)} and no explanation`,
    remedy: gone ? 'See whether it runs; the page tries again' : 'See whether the address is that of a dd2 coordinator',
    retryable: gone,
    status,
  });
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The closed set of error codes: how each maps to gRPC and HTTP, and whether trying again can help. */
export const errorCodes = {
  INVALID_SPEC: { grpc: 3, http: 400, retryable: false },
  INVALID_ARGUMENT: { grpc: 3, http: 400, retryable: false },
  UNSUPPORTED_OPERATION: { grpc: 12, http: 501, retryable: false },
  PROVIDER_UNAVAILABLE: { grpc: 9, http: 412, retryable: false },
  ASSET_MISSING: { grpc: 5, http: 404, retryable: false },
  ASSET_CORRUPT: { grpc: 15, http: 422, retryable: false },
  CHECKPOINT_CORRUPT: { grpc: 15, http: 422, retryable: false },
  RUN_NOT_FOUND: { grpc: 5, http: 404, retryable: false },
  RUN_CONFLICT: { grpc: 6, http: 409, retryable: false },
  NOT_COMPARABLE: { grpc: 9, http: 409, retryable: false },
  FENCED: { grpc: 10, http: 409, retryable: false },
  UNAUTHENTICATED: { grpc: 16, http: 401, retryable: false },
  RESOURCE_EXHAUSTED: { grpc: 8, http: 429, retryable: true },
  RUN_FAILED: { grpc: 13, http: 500, retryable: false },
  NON_FINITE: { grpc: 11, http: 422, retryable: false },
  STALE_LEASE: { grpc: 10, http: 409, retryable: false },
  PROTOCOL: { grpc: 3, http: 400, retryable: false },
  UNAVAILABLE: { grpc: 14, http: 503, retryable: true },
  CANCELLED: { grpc: 1, http: 499, retryable: false },
  INTERNAL: { grpc: 13, http: 500, retryable: false },
} as const satisfies Record<string, { grpc: number; http: number; retryable: boolean }>;

export type ErrorCode = keyof typeof errorCodes;

export interface Dd2ErrorOptions {
  /** the offending field (dotted path of a spec, name of a tensor, file) */
  readonly field?: string | undefined;
  /** what the reader can do about it, one sentence */
  readonly remedy?: string | undefined;
  /** identifiers that a log line should carry: run, update, worker, program, ... */
  readonly details?: Readonly<Record<string, string | number>> | undefined;
  readonly cause?: unknown;
}

/** The one error class of the product. Its message reads `problem (field): remedy`. */
export class Dd2Error extends Error {
  readonly code: ErrorCode;
  /** the message without field and remedy */
  readonly problem: string;
  readonly field: string | undefined;
  readonly remedy: string | undefined;
  readonly details: Readonly<Record<string, string | number>>;

  constructor(code: ErrorCode, problem: string, options: Dd2ErrorOptions = {}) {
    const where = options.field === undefined ? '' : ` (${options.field})`;
    const remedy = options.remedy === undefined ? '' : `. ${options.remedy}`;
    super(`${problem}${where}${remedy}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Dd2Error';
    this.code = code;
    this.problem = problem;
    this.field = options.field;
    this.remedy = options.remedy;
    this.details = options.details ?? {};
  }

  get retryable(): boolean {
    return errorCodes[this.code].retryable;
  }

  /** Wraps anything thrown; a `Dd2Error` passes through unchanged. */
  static from(thrown: unknown, code: ErrorCode = 'INTERNAL'): Dd2Error {
    if (thrown instanceof Dd2Error) return thrown;
    return new Dd2Error(code, thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
  }
}

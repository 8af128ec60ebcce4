import { ApiError } from '../api/client.js';

export interface DownloadProgress {
  /** bytes that are here */
  readonly received: number;
  /** bytes of the whole; unknown when they travel compressed */
  readonly total: number | undefined;
}

/** Reads the whole of an answer. @throws {ApiError} UNAVAILABLE when it ends too early; the signal's reason when it aborts */
export async function download(response: Response, onProgress: (progress: DownloadProgress) => void, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const length = response.headers.get('content-encoding') === null ? Number(response.headers.get('content-length') ?? NaN) : NaN;
  const total = Number.isSafeInteger(length) ? length : undefined;
  const pieces: Uint8Array[] = [];
  let received = 0;
  try {
    const reader = response.body?.getReader();
    for (let piece = await reader?.read(); piece?.value; piece = await reader?.read()) {
      pieces.push(piece.value);
      received += piece.value.byteLength;
      onProgress({ received, total });
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw interrupted(cause);
  }
  if (total !== undefined && received !== total) throw interrupted(new RangeError(`${received} of ${total} bytes`));
  const whole = new Uint8Array(received);
  pieces.reduce((at, piece) => {
    whole.set(piece, at);
    return at + piece.byteLength;
  }, 0);
  return whole;
}

function interrupted(cause: unknown): ApiError {
  return new ApiError({ code: 'UNAVAILABLE', message: 'the download was interrupted', remedy: 'Try again', retryable: true }, cause);
}

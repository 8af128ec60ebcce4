import { ApiError, problemFrom } from './api-error.js';

type QueryValue = string | number | boolean | readonly (string | number)[] | undefined;
export type Query = Readonly<Record<string, QueryValue>>;
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

const unauthenticatedHandlers = new Set<() => void>();

/** Calls the handler whenever the server asks for a token. Returns what takes it away again. */
export function onUnauthenticated(handler: () => void): () => void {
  unauthenticatedHandlers.add(handler);
  return () => unauthenticatedHandlers.delete(handler);
}

/** Address of a path of the API, which starts with `/api/v1`; what is undefined is left out, a list repeats its name. */
export function apiUrl(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const one of typeof value === 'object' ? value : [value]) search.append(name, String(one));
  }
  const text = search.toString();
  return `/api/v1${path}${text === '' ? '' : `?${text}`}`;
}

/** Sends a request and returns the answer, unread. @throws {ApiError} for every answer but 2xx; DOMException AbortError when aborted */
export async function send(method: 'GET' | 'POST' | 'DELETE', path: string, query: Query | undefined, body: unknown, { signal }: CallOptions = {}): Promise<Response> {
  const response = await fetch(apiUrl(path, query), {
    method,
    credentials: 'same-origin',
    // The header tells the coordinator that this page wants the change, and not a form on some other site.
    headers: { ...(method === 'GET' ? {} : { 'x-dd2-request': '1' }), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  }).catch((cause: unknown) => {
    if (signal?.aborted) throw cause;
    throw new ApiError({ code: 'UNAVAILABLE', message: 'the coordinator cannot be reached', remedy: 'See whether it runs, and whether the network is there', retryable: true }, cause);
  });
  if (response.ok) return response;
  const problem = problemFrom(await response.json().catch(() => undefined), response.status);
  if (response.status === 401) for (const handler of unauthenticatedHandlers) handler();
  throw problem;
}

/** Sends a request and returns the JSON of the answer. @throws {ApiError} */
export async function call<T>(method: 'GET' | 'POST' | 'DELETE', path: string, query?: Query, body?: unknown, options?: CallOptions): Promise<T> {
  const response = await send(method, path, query, body, options);
  if (response.status === 204) return undefined as T;
  try {
    return (await response.json()) as T;
  } catch (cause) {
    if (options?.signal?.aborted) throw cause;
    throw new ApiError({ code: 'PROTOCOL', message: 'the answer is not JSON', remedy: 'See whether the address is that of a dd2 coordinator', status: response.status }, cause);
  }
}

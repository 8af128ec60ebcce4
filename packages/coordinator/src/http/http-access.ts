import type {} from '@fastify/cookie'; // declares the cookies of requests
import { Dd2Error } from '@dd2/core';
import { equalTokens } from '@dd2/proto';
import type { FastifyRequest } from 'fastify';
import { RateLimit } from '../rate-limit.js';
import { cookieName, SessionCookies } from './session-cookie.js';

/** Tokens that HTTP requests may show. */
export interface HttpTokens {
  readonly api: string;
  /** lets monitoring read the metrics, and nothing else */
  readonly metrics: string;
}

/** A header that no form and no other site can send: pages of this origin add it to what changes something. */
const REQUEST_HEADER = 'x-dd2-request';
const BEARER = 'Bearer ';
const remedy = 'It is in tokens/api of the data folder; `dd2 dashboard` prints a link that logs in';

/** Who is let in over HTTP: whoever shows the API token, or the cookie that a login with it gave. */
export class HttpAccess {
  readonly cookie: string;
  readonly #sessions: SessionCookies | undefined;
  readonly #logins = new RateLimit({ perSecond: 0.2, burst: 10 });

  /** @param tokens without them everybody is let in, which is for tests */
  constructor(
    private readonly tokens: HttpTokens | undefined,
    clusterId: string,
  ) {
    this.cookie = cookieName(clusterId);
    this.#sessions = tokens && new SessionCookies(tokens.api);
  }

  /** Admits a request to the API. @throws {Dd2Error} UNAUTHENTICATED */
  admit(request: FastifyRequest): void {
    if (!this.tokens) return;
    const shown = bearerOf(request);
    if (shown === undefined) return this.#admitSession(request);
    if (equalTokens(shown, this.tokens.api)) return;
    const known = equalTokens(shown, this.tokens.metrics) ? 'this is the metrics token, which is for /metrics alone' : "this is not the coordinator's API token";
    throw new Dd2Error('UNAUTHENTICATED', known, { remedy });
  }

  /** Admits a request for the metrics. @throws {Dd2Error} UNAUTHENTICATED */
  admitToMetrics(request: FastifyRequest): void {
    const shown = bearerOf(request);
    if (this.tokens && shown !== undefined && equalTokens(shown, this.tokens.metrics)) return;
    this.admit(request);
  }

  /** Whether a request has a session, or needs none. */
  isAuthenticated(request: FastifyRequest): boolean {
    try {
      this.admit(request);
      return true;
    } catch {
      return false;
    }
  }

  /** Checks a token that somebody logs in with. Answers the cookie of the session. @throws {Dd2Error} UNAUTHENTICATED, RESOURCE_EXHAUSTED */
  login(token: string, client: string): { readonly value: string; readonly maxAgeSeconds: number } | undefined {
    if (!this.tokens || !this.#sessions) return undefined;
    const retryAfterMs = this.#logins.take(client);
    if (retryAfterMs > 0) {
      throw new Dd2Error('RESOURCE_EXHAUSTED', 'there were too many attempts to log in from here', { remedy: `Try again in ${Math.ceil(retryAfterMs / 1_000)} s`, details: { retryAfterMs } });
    }
    if (!equalTokens(token.trim(), this.tokens.api)) throw new Dd2Error('UNAUTHENTICATED', "this is not the coordinator's API token", { field: 'token', remedy });
    return this.#sessions.issue();
  }

  logout(request: FastifyRequest): void {
    const value = request.cookies[this.cookie];
    if (value !== undefined) this.#sessions?.end(value);
  }

  #admitSession(request: FastifyRequest): void {
    const value = request.cookies[this.cookie];
    if (value === undefined) throw new Dd2Error('UNAUTHENTICATED', 'this needs the API token of the coordinator', { remedy });
    if (this.#sessions?.isValid(value) !== true) throw new Dd2Error('UNAUTHENTICATED', 'the session is over', { remedy: 'Log in again with the API token. ' + remedy });
    if (request.method !== 'GET' && request.method !== 'HEAD') requireOwnPage(request);
  }
}

/** A cookie is sent along whoever makes the browser ask: a change must come from a page of this server. @throws {Dd2Error} UNAUTHENTICATED */
export function requireOwnPage({ headers }: Pick<FastifyRequest, 'headers'>): void {
  if (headers[REQUEST_HEADER] === '1' && sameOrigin(headers.origin, headers.host)) return;
  throw new Dd2Error('UNAUTHENTICATED', 'this change does not come from the page of this server', { remedy: `Send ${REQUEST_HEADER}: 1 from a page of the same origin, or show the API token` });
}

/** Compared by host and port: in front of the server something else may end TLS. */
function sameOrigin(origin: string | undefined, host: string | undefined): boolean {
  return origin !== undefined && host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
}

function bearerOf({ headers: { authorization } }: FastifyRequest): string | undefined {
  if (authorization === undefined) return undefined;
  return authorization.startsWith(BEARER) ? authorization.slice(BEARER.length) : '';
}

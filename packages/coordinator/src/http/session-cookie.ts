import { createHmac, randomBytes } from 'node:crypto';
import { equalTokens } from '@dd2/proto';

const LIFE_MS = 30 * 24 * 60 * 60 * 1_000;
/** further ones that were logged out are forgotten: the oldest first */
const MAX_ENDED = 10_000;

/**
 * What the page shows instead of the API token after a login: a random id and its expiry, signed with the token, so that all
 * of them end when the token is replaced.
 */
export class SessionCookies {
  /** ids that were logged out */
  readonly #ended = new Set<string>();

  constructor(
    private readonly apiToken: string,
    private readonly now: () => number = Date.now,
  ) {}

  /** A new session. */
  issue(): { readonly value: string; readonly maxAgeSeconds: number } {
    const content = `${randomBytes(16).toString('base64url')}.${this.now() + LIFE_MS}`;
    return { value: `${content}.${this.#sign(content)}`, maxAgeSeconds: LIFE_MS / 1_000 };
  }

  isValid(value: string): boolean {
    const [id = '', expiry = '', signature = '', ...rest] = value.split('.');
    if (rest.length > 0 || !equalTokens(signature, this.#sign(`${id}.${expiry}`))) return false;
    return Number(expiry) > this.now() && !this.#ended.has(id);
  }

  /** Ends a session before its time, as far as this process remembers. */
  end(value: string): void {
    if (!this.isValid(value)) return;
    const [oldest] = this.#ended;
    if (this.#ended.size >= MAX_ENDED && oldest !== undefined) this.#ended.delete(oldest);
    this.#ended.add(value.slice(0, value.indexOf('.')));
  }

  #sign(content: string): string {
    return createHmac('sha256', this.apiToken).update(`dd2 session ${content}`).digest('base64url');
  }
}

/** Cookies of one host name are sent to all its ports: each cluster has a name of its own. */
export function cookieName(clusterId: string): string {
  return `dd2-session-${clusterId.slice(0, 8)}`;
}

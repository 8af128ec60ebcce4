import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { Dd2Error } from '@dd2/core';
import type { RedisOptions } from 'ioredis';

/** Where a Redis server is, and how to be let in. */
export interface RedisAddress {
  /** `redis://host:port`, or `rediss://` for TLS; may hold user and password */
  readonly url: string;
  /** file with the password, if the URL has none */
  readonly passwordFile?: string | undefined;
  /** file with the certificates of the authorities that vouch for the server; without it those that Node knows do */
  readonly caFile?: string | undefined;
}

/** What ioredis and BullMQ dial a server with. */
export interface RedisConnection {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: { ca: string[] };
  /** milliseconds until the next attempt */
  readonly retryStrategy: (times: number) => number;
}

/** Redis takes no password that is longer. */
const MAX_PASSWORD_BYTES = 512;
const MAX_AUTHORITIES_BYTES = 256 * 1024;
/** A server that is away is dialled again so soon, then ever more seldom. */
const RETRY_MS = { first: 25, last: 1_000 };

/**
 * Reads the files of an address. They are read again whenever the server is dialled again, so that a password or an authority
 * that changes needs no restart; while they cannot be used, those before stay.
 * @throws {Dd2Error} INVALID_ARGUMENT; neither password nor URL is in the message
 */
export function redisConnection({ url, passwordFile, caFile }: RedisAddress): RedisConnection {
  const parsed = parseUrl(url);
  if (passwordFile !== undefined && parsed.password !== '') {
    throw new Dd2Error('INVALID_ARGUMENT', 'the password of Redis is given twice, by its address and by a file', { field: passwordFile, remedy: 'Take it out of the address' });
  }
  if (caFile !== undefined && parsed.protocol !== 'rediss:') {
    throw new Dd2Error('INVALID_ARGUMENT', 'there are authorities for Redis, but its address asks for no TLS', { field: caFile, remedy: 'Use rediss:// in the address' });
  }
  // Nothing overrules an address for ioredis: what comes from elsewhere must not be in it, TLS with settings neither.
  const bare = new URL(parsed);
  if (caFile !== undefined) bare.protocol = 'redis:';
  if (passwordFile !== undefined) bare.username = '';
  const username = decodeURIComponent(parsed.username);
  return {
    url: bare.href,
    ...(passwordFile !== undefined && { ...(username !== '' && { username }), password: readPassword(passwordFile) }),
    ...(caFile !== undefined && { tls: { ca: readAuthorities(caFile) } }),
    /** ioredis calls it as a method of the options that it dials with. */
    retryStrategy(this: RedisOptions, times: number): number {
      try {
        if (passwordFile !== undefined) this.password = readPassword(passwordFile);
        if (caFile !== undefined) this.tls = { ca: readAuthorities(caFile) };
      } catch {
        // In the middle of a change: the next attempt finds the new ones, and what does not work is told by the server.
      }
      return Math.min(RETRY_MS.last, RETRY_MS.first * 2 ** Math.min(times, 10));
    },
  };
}

function parseUrl(url: string): URL {
  if (URL.canParse(url) && /^rediss?:$/.test(new URL(url).protocol)) return new URL(url);
  throw new Dd2Error('INVALID_ARGUMENT', 'the address of Redis cannot be read', { field: 'redisUrl', remedy: 'It looks like redis://host:6379, rediss:// with TLS' });
}

function readPassword(file: string): string {
  const password = read(file, 'the password of Redis', MAX_PASSWORD_BYTES).replace(/\r?\n$/, '');
  if (password !== '' && !/\p{Cc}/u.test(password)) return password;
  throw new Dd2Error('INVALID_ARGUMENT', password === '' ? 'the file for the password of Redis is empty' : 'the password of Redis has more than one line, or characters that cannot be printed', {
    field: file,
    remedy: 'Write the password into it, and nothing else',
  });
}

function readAuthorities(file: string): string[] {
  const found = read(file, 'the authorities for Redis', MAX_AUTHORITIES_BYTES).match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (found.length > 0 && found.every(isCertificate)) return found;
  throw new Dd2Error('INVALID_ARGUMENT', 'the file is not the PEM of certificates', { field: file, remedy: 'Name the ca.crt of the authority that signed the certificate of Redis' });
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

function read(file: string, what: string, maxBytes: number): string {
  let size: number;
  try {
    const found = statSync(file);
    size = found.isFile() ? found.size : Infinity;
    if (size <= maxBytes) return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Dd2Error('INVALID_ARGUMENT', `${what} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { field: file, remedy: 'Is the path right, and may this user read it?', cause });
  }
  throw new Dd2Error('INVALID_ARGUMENT', `${what} cannot be read: ${size === Infinity ? 'it is not a file' : `it has more than ${maxBytes} bytes`}`, { field: file, remedy: 'Is the path right?' });
}

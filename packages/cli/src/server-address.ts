import { isIP } from 'node:net';
import { Dd2Error } from '@dd2/core';
import { hostOf, isLoopback } from '@dd2/proto';

/** What `--server` says. */
export interface ServerAddress {
  /** host:port to dial */
  readonly address: string;
  /** what a URL says; undefined for HOST:PORT, where TLS comes with certificates */
  readonly scheme: 'https' | 'http' | undefined;
}

/** The port of a coordinator for workers and commands. */
export const COORDINATOR_PORT = 7070;

const SCHEME = /^(https?):\/\//i;

/**
 * Reads HOST:PORT, https://HOST[:PORT] or http://HOST[:PORT]. An IPv6 host stands in brackets.
 * @throws {Dd2Error} INVALID_ARGUMENT; the message repeats no password
 */
export function parseServer(text: string): ServerAddress {
  const scheme = schemeOf(text);
  const authority = withoutScheme(text).replace(scheme === undefined ? '' : /\/$/, '');
  if (authority.includes('@')) throw wrong('the address of a coordinator has no user name and no password', 'Show a token instead: --token-file');
  if (/[/?#]/.test(authority)) throw wrong(`"${text}" has more than a host and a port`, 'Leave away what comes after the port: a coordinator has no paths');
  const [, host = '', , digits] = /^(\[[^\]]+\]|[\w.-]+)(:(\d{1,5}))?$/.exec(authority) ?? [];
  const port = digits === undefined && scheme !== undefined ? COORDINATOR_PORT : Number(digits ?? NaN);
  if (host === '' || (host.startsWith('[') && isIP(host.slice(1, -1).replace(/%.*$/, '')) !== 6) || !(port >= 1 && port <= 65_535)) {
    throw wrong(`"${text}" is no address of a coordinator`, 'Use HOST:PORT, for example 127.0.0.1:7070, or https://HOST[:PORT]');
  }
  return { address: `${host}:${port}`, scheme };
}

/**
 * Whether a coordinator shares neither files nor tokens with this machine: one that is on another host, or that a URL names. A URL with a
 * loopback host is how one is reached through `kubectl port-forward`.
 */
export function isElsewhere(server: string): boolean {
  return schemeOf(server) !== undefined || !isOnLoopback(server);
}

/** Whether what is sent to a coordinator stays on this machine, at first. */
export function isOnLoopback(server: string): boolean {
  return isLoopback(hostOf(withoutScheme(server).replace(/\/.*$/, '')));
}

export function schemeOf(server: string): ServerAddress['scheme'] {
  const found = SCHEME.exec(server)?.[1]?.toLowerCase();
  return found === 'https' || found === 'http' ? found : undefined;
}

function withoutScheme(server: string): string {
  return server.replace(SCHEME, '');
}

function wrong(problem: string, remedy: string): Dd2Error {
  return new Dd2Error('INVALID_ARGUMENT', problem, { field: '--server', remedy });
}

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Dd2Error } from '@dd2/core';
import type { Metadata } from '@grpc/grpc-js';

const TOKEN_BYTES = 32;
const MIN_LENGTH = 16;
const HEADER = 'authorization';
const PREFIX = 'Bearer ';

export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

/**
 * The token in a text, usually the content of a file.
 * @param source the file or setting, for the error
 * @throws {Dd2Error} INVALID_ARGUMENT; the message does not repeat the text
 */
export function checkToken(text: string, source: string): string {
  const token = text.trim();
  if (token.length >= MIN_LENGTH && /^[!-~]+$/.test(token)) return token;
  throw new Dd2Error('INVALID_ARGUMENT', 'this is no token', { field: source, remedy: `A token has at least ${MIN_LENGTH} printable characters and no spaces` });
}

/** Takes the same time wherever the two differ, and however long they are. */
export function equalTokens(one: string, other: string): boolean {
  return timingSafeEqual(createHash('sha256').update(one).digest(), createHash('sha256').update(other).digest());
}

/** The request metadata that shows a token. */
export function tokenMetadata(token: string): Record<string, string> {
  return { [HEADER]: `${PREFIX}${token}` };
}

/** The token that a call shows. */
export function tokenOf(metadata: Metadata): string | undefined {
  const value = metadata.get(HEADER)[0]?.toString();
  return value?.startsWith(PREFIX) === true ? value.slice(PREFIX.length) : undefined;
}

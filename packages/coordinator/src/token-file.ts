import { join } from 'node:path';

export type TokenKind = 'join' | 'api';

/** Where a coordinator keeps the token that it made. */
export function tokenFile(dataDir: string, kind: TokenKind): string {
  return join(dataDir, 'tokens', kind);
}

import { join } from 'node:path';

/** Workers show the join token, people and their tools the API token, monitoring the metrics token. */
export type TokenKind = 'join' | 'api' | 'metrics';

/** Where a coordinator keeps the token that it made. */
export function tokenFile(dataDir: string, kind: TokenKind): string {
  return join(dataDir, 'tokens', kind);
}

import { createHash } from 'node:crypto';

/**
 * What the coordinator's connections do: they read and write keys, run BullMQ's scripts, and ask for INFO. By category, because a later
 * version may use another data command while the Secret stays as it is. Not among them: settings, other clients, flushing,
 * enumerating keys, replication, server-side functions, publishing.
 */
const RULES = ['-@all', '+@read', '+@write', '+@connection', '+@transaction', '-@admin', '-@dangerous', '-@scripting', '+info', '+time', '+eval', '+evalsha', '+script|load', '+script|exists'];

/** Content of an ACL file (Redis 6.2 and later): the one user, who has this password, sees keys of dd2 only. */
export function redisUsers(password: string): string {
  return `user default reset on #${passwordHash(password)} ~dd2:* resetchannels ${RULES.join(' ')}\n`;
}

/** Whether an ACL file lets somebody in with this password. */
export function acceptsPassword(users: string, password: string): boolean {
  return users.split('\n').some((line) => /^user\s/.test(line) && line.split(/\s+/).some((rule) => rule === `#${passwordHash(password)}` || rule === `>${password}`));
}

function passwordHash(password: string): string {
  return createHash('sha256').update(password).digest('hex');
}

import { reason } from './bounded.js';

interface Row {
  readonly pattern: RegExp;
  readonly meaning: string;
}

/** What a server or TLS says of a connection that cannot be made, and what can be done about it. */
const rows: readonly Row[] = [
  { pattern: /^WRONGPASS/, meaning: 'it refuses the password; correct it (--redis-password-file)' },
  { pattern: /^NOAUTH/, meaning: 'it wants a password; name the file with it (--redis-password-file)' },
  { pattern: /^NOPERM/, meaning: 'its user may not do that; allow it the keys dd2:*, and the commands that docs/kubernetes.md names' },
  {
    pattern: /self-signed certificate|unable to (?:verify the first|get (?:local )?issuer) certificate|certificate signature failure/,
    meaning: 'its certificate was signed by an authority that is not trusted here; name that one (--redis-ca-file)',
  },
  { pattern: /does not match certificate's altnames/, meaning: 'its certificate is for other hosts; dial a name that it holds' },
  { pattern: /certificate has expired/, meaning: 'its certificate has expired; renew it' },
  { pattern: /certificate is not yet valid/, meaning: 'its certificate does not count yet; compare the clocks of both machines' },
  { pattern: /wrong version number|packet length too long/, meaning: 'it does not speak TLS; use redis:// in its address' },
  { pattern: /alert (?:certificate required|handshake failure)/, meaning: 'it asks for a certificate of this machine, and dd2 shows it none; set tls-auth-clients to no' },
];

/** What a server answers that works and takes no jobs: its disk or its memory is full, it is a replica, its user has too few rights. */
const refusal = /\b(?:MISCONF|OOM|READONLY|NOPERM|CLUSTERDOWN|MASTERDOWN|NOREPLICAS)\b/;

/** Whether somebody has to look after the server: a new coordinator would be refused as this one is. */
export function isRefusedByRedis(thrown: unknown): boolean {
  return refusal.test(reason(thrown));
}

/** Why a Redis server cannot be used: in its own words, and what to do where that is known. */
export function redisTrouble(thrown: unknown): string {
  const words = reason(thrown);
  const row = rows.find(({ pattern }) => pattern.test(words));
  return row ? `${row.meaning} (${words})` : words;
}

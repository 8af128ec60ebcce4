import { Dd2Error } from '@dd2/core';

interface Row {
  readonly pattern: RegExp;
  readonly problem: string;
  readonly remedy: string;
}

/** What TLS says of a connection that cannot be made (in the words of OpenSSL and Node), and what it means here. */
const rows: readonly Row[] = [
  { pattern: /alert certificate required|alert handshake failure/, problem: 'the coordinator asks for a certificate', remedy: 'Name a folder with client.crt and client.key: --certs (`dd2 certs init` and `dd2 kubernetes login` make one)' },
  { pattern: /alert (unknown ca|certificate unknown|bad certificate|decrypt error|certificate expired)/, problem: 'the coordinator does not accept the certificate', remedy: 'Use one that was signed by the authority in its ca.crt and has not expired' },
  { pattern: /certificate has expired/, problem: "the coordinator's certificate has expired", remedy: 'Make new ones: dd2 certs init --renew' },
  { pattern: /certificate is not yet valid/, problem: "the coordinator's certificate does not count yet", remedy: 'Compare the clocks of both machines' },
  {
    pattern: /self-signed certificate|unable to (verify the first|get (local )?issuer) certificate|certificate signature failure/,
    problem: "the coordinator's certificate was signed by another authority",
    remedy: 'Name a folder with the ca.crt that its certificate was made with: --certs',
  },
  { pattern: /does not match certificate's altnames/, problem: "the coordinator's certificate is for other hosts", remedy: 'Dial a name that it holds, or make one for this name: dd2 certs init --renew --host NAME' },
  { pattern: /wrong version number|packet length too long/, problem: 'the coordinator does not speak TLS', remedy: 'Leave --certs (or DD2_CERTS) away, or start it with certificates' },
  // Node ends a connection whose certificate it does not accept without a word.
  { pattern: /Last error: Failed to connect/, problem: 'the coordinator closed the connection at once', remedy: 'If it uses TLS, name --certs with a certificate of its authority that has not expired; if not, leave it away' },
];

/** The error of a connection that failed because of its certificates; undefined for other failures. */
export function connectionFailure(details: string, cause: unknown): Dd2Error | undefined {
  const row = rows.find(({ pattern }) => pattern.test(details));
  return row && new Dd2Error('UNAVAILABLE', row.problem, { field: 'tls', remedy: row.remedy, cause });
}

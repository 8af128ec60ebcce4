import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { CertifiedKey } from '@dd2/proto/certificates';
import { dayOf, pairIn, requireValue } from './secret-content.js';
import type { LeafCertificate } from './secrets.js';
import type { StoredSecret } from './secrets-api.js';

export const DAY_MS = 86_400_000;
const LEAF_MS = 365 * DAY_MS;
/** Certificates are renewed when they have less left: whoever restarts a coordinator every nine months is safe. */
const RENEW_MS = 90 * DAY_MS;

export type Authority = CertifiedKey & { readonly parsed: X509Certificate };

/** What a certificate must be for. */
export interface LeafRequest extends LeafCertificate {
  readonly namespace: string;
  /** names and addresses from outside of the cluster */
  readonly hosts: readonly string[];
}

/** Names and addresses under which it is dialled, in the namespace and outside; none for a client. */
export function hostsFor({ services, namespace, hosts, fromOutside, purpose }: LeafRequest): string[] {
  if (purpose === 'client') return [];
  const names = services.flatMap((service) => ['', `.${namespace}`, `.${namespace}.svc`, `.${namespace}.svc.cluster.local`].map((end) => service + end));
  return [...new Set([...names, 'localhost', '127.0.0.1', '::1', ...(fromOutside ? hosts : [])].map(normal))];
}

/** A new certificate with its key and the authority, as the values of a Secret. It ends with its authority at the latest. */
export async function issueLeaf(authority: Authority, request: LeafRequest, now: number): Promise<Record<string, string>> {
  const { issueCertificate } = await import('@dd2/proto/certificates');
  const { certificate, privateKey } = await issueCertificate(authority, { purpose: request.purpose, name: request.subject, hosts: hostsFor(request), to: new Date(endOf(authority, now)) });
  return { 'tls.crt': certificate, 'tls.key': privateKey, 'ca.crt': authority.certificate };
}

/**
 * Why the certificate of a Secret must be made anew; undefined when it may stay.
 * @throws {Dd2Error} INVALID_ARGUMENT when what is in the Secret is none
 */
export async function whyRenew(secret: StoredSecret, authority: Authority, request: LeafRequest, now: number): Promise<string | undefined> {
  const { hostsOf } = await import('@dd2/proto/certificates');
  const { parsed, certificate } = pairIn(secret, 'tls.crt', 'tls.key');
  const trusted = requireValue(secret, 'ca.crt');
  if (!parsed.checkIssued(authority.parsed) || !parsed.verify(authority.parsed.publicKey)) return 'it is not signed by the present authority';
  if (!fingerprintsOf(trusted).includes(authority.parsed.fingerprint256)) return 'its ca.crt is not the present authority';
  const present = hostsOf(certificate).map(normal);
  const missing = hostsFor(request).filter((host) => !present.includes(host));
  if (missing.length > 0) return `it lacks ${missing.join(', ')}`;
  const end = Date.parse(parsed.validTo);
  // At the end of the authority a new one would end on the same day.
  return end - now < RENEW_MS && endOf(authority, now) - end > DAY_MS ? `it expires on ${dayOf(end)}` : undefined;
}

function endOf({ parsed }: Authority, now: number): number {
  return Math.min(now + LEAF_MS, Date.parse(parsed.validTo));
}

/** A file of authorities may hold the earlier one, too. */
function fingerprintsOf(pem: string): string[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).flatMap((one) => {
    try {
      return new X509Certificate(one).fingerprint256;
    } catch {
      return [];
    }
  });
}

/** Names in lower case, IPv6 addresses in their shortest form. */
function normal(host: string): string {
  return isIP(host) === 6 ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host.toLowerCase();
}

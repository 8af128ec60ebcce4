// The library looks for this when it is loaded.
import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto, X509Certificate as NodeCertificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

/** A certificate and its private key, as PEM. */
export interface CertifiedKey {
  readonly certificate: string;
  readonly privateKey: string;
}

/** Moments between which a certificate counts. */
export interface Validity {
  readonly from?: Date;
  readonly to: Date;
}

export interface LeafOptions extends Validity {
  /** what its holder may be */
  readonly purpose: 'server' | 'client';
  readonly name: string;
  /** names and addresses that clients dial */
  readonly hosts?: readonly string[];
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** Clocks of machines differ: a certificate counts from a little before it was made. */
const CLOCK_DIFFERENCE_MS = 5 * 60_000;

/** An authority that signs certificates and is signed by itself. */
export async function createAuthority(name: string, { from = aLittleAgo(), to }: Validity): Promise<CertifiedKey> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: new x509.Name([{ CN: [name] }]).toString(),
    notBefore: from,
    notAfter: to,
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate), privateKey: await privatePem(keys.privateKey) };
}

/** A certificate for a server or a client, signed by an authority. */
export async function issueCertificate(authority: CertifiedKey, { purpose, name, hosts = [], from = aLittleAgo(), to }: LeafOptions): Promise<CertifiedKey> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKey = await webcrypto.subtle.importKey('pkcs8', createPrivateKey(authority.privateKey).export({ type: 'pkcs8', format: 'der' }), algorithm, false, ['sign']);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: new x509.Name([{ CN: [name] }]).toString(),
    issuer: issuer.subject,
    notBefore: from,
    notAfter: to,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([purpose === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth]),
      ...(hosts.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(hosts.map((host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host })))]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return { certificate: pem(certificate), privateKey: await privatePem(keys.privateKey) };
}

/** The names and addresses that a server's certificate is for. */
export function hostsOf(certificate: string): string[] {
  const { subjectAltName = '' } = new NodeCertificate(certificate);
  return subjectAltName.split(', ').flatMap((entry) => {
    const host = /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1];
    if (host === undefined) return [];
    return isIP(host) === 6 ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host;
  });
}

function aLittleAgo(): Date {
  return new Date(Date.now() - CLOCK_DIFFERENCE_MS);
}

/** Positive, as RFC 5280 wants it. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return bytes.toString('hex');
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem').trim()}\n`;
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ type: 'pkcs8', format: 'pem' }).toString();
}

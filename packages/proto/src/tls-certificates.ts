import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext, rootCertificates, type PeerCertificate } from 'node:tls';
import { Dd2Error } from '@dd2/core';
import { experimental, type ChannelCredentials, type ChannelOptions, type ServerCredentials } from '@grpc/grpc-js';

/** PEM files of one end of a connection. */
export interface TlsFiles {
  /** certificate that this end shows, with its intermediate ones */
  readonly certFile?: string | undefined;
  /** private key of that certificate */
  readonly keyFile?: string | undefined;
  /** authorities that vouch for the other end. A server with them asks every client for a certificate; a client without them trusts the ones that Node knows. */
  readonly caFile?: string | undefined;
}

export interface TlsWatch {
  /** new files are in use from now on */
  readonly onReload?: (() => void) | undefined;
  /** new files cannot be used: the ones before stay in use. Told once for each new content. */
  readonly onTrouble?: ((error: Dd2Error) => void) | undefined;
  /** how often the files are read */
  readonly pollMs?: number | undefined;
}

/**
 * The server name that a client shows while it connects: an address must not be one (RFC 6066), so it shows a name that
 * nobody has; what the certificate must hold is the address all the same.
 */
export function serverNameFor(host: string): ChannelOptions {
  return isIP(host) === 0 ? {} : { 'grpc.ssl_target_name_override': 'address.invalid' };
}

type Part = keyof TlsFiles;
type Contents = Readonly<Partial<Record<Part, Buffer>>>;

const parts = ['certFile', 'keyFile', 'caFile'] as const satisfies readonly Part[];
const POLL_MS = 5_000;

/**
 * The certificates of one end of a connection. While a server or client uses them their files are read again and again:
 * connections that are made after a change use the new ones, those that are open stay as they are. The files are compared
 * by content, so that links that are pointed elsewhere (mounted secrets) and files that are renamed count as changes.
 */
export class TlsCertificates implements experimental.CertificateProvider {
  readonly #identity = new Set<experimental.IdentityCertificateUpdateListener>();
  readonly #authorities = new Set<experimental.CaCertificateUpdateListener>();
  #timer: NodeJS.Timeout | undefined;
  /** what was found last and cannot be used: certificate and key change one after the other, so it is told when it stays */
  #unusable: { readonly contents: string; told: boolean } | undefined;

  private constructor(
    private readonly files: TlsFiles,
    private current: Contents,
    private readonly watch: TlsWatch,
  ) {}

  /** @throws {Dd2Error} INVALID_ARGUMENT when files cannot be read, do not belong together or have expired */
  static load(files: TlsFiles, watch: TlsWatch = {}): TlsCertificates {
    if ((files.certFile === undefined) !== (files.keyFile === undefined)) {
      throw new Dd2Error('INVALID_ARGUMENT', 'a certificate and its private key belong together', { field: files.certFile ?? files.keyFile, remedy: 'Name both files, or none' });
    }
    const contents: Partial<Record<Part, Buffer>> = {};
    for (const part of parts) {
      const file = files[part];
      if (file === undefined) continue;
      try {
        contents[part] = readFileSync(file);
      } catch (cause) {
        throw unreadable(file, cause);
      }
    }
    validate(contents, files);
    return new TlsCertificates(files, contents, watch);
  }

  /** For a server. @throws {Dd2Error} INVALID_ARGUMENT without a certificate of its own */
  serverCredentials(): ServerCredentials {
    if (!this.current.certFile) throw new Dd2Error('INVALID_ARGUMENT', 'a server needs a certificate', { remedy: 'Name its files' });
    const mutual = this.current.caFile !== undefined;
    return experimental.createCertificateProviderServerCredentials(this, mutual ? this : null, mutual);
  }

  /** Calls `apply` with the certificate and private key of this end, at once and whenever they change. @returns what ends that */
  follow(apply: (identity: { readonly cert: Buffer; readonly key: Buffer }) => void): () => void {
    const take = (update: experimental.IdentityCertificateUpdate | null): void => {
      if (update) apply({ cert: update.certificate, key: update.privateKey });
    };
    take(this.#identityUpdate());
    this.addIdentityCertificateListener(take);
    return () => this.removeIdentityCertificateListener(take);
  }

  /** For a client that dials this host. */
  channelCredentials(host: string): ChannelCredentials {
    // The host is always given: for an address grpc-js has another one to show (see `serverNameFor`).
    const checkIdentity = (_shown: string, certificate: PeerCertificate): Error | undefined => checkServerIdentity(host, certificate);
    return experimental.createCertificateProviderChannelCredentials(this, this.current.certFile ? this : null, { checkServerIdentity: checkIdentity });
  }

  // What follows is called by grpc-js, which expects the first update after its call has returned.

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#authorities.add(listener);
    this.#poll();
    process.nextTick(() => this.#authorities.has(listener) && listener(this.#authorityUpdate()));
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#authorities.delete(listener);
    this.#poll();
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identity.add(listener);
    this.#poll();
    process.nextTick(() => this.#identity.has(listener) && listener(this.#identityUpdate()));
  }

  removeIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identity.delete(listener);
    this.#poll();
  }

  /** Reads the files while somebody uses them, the first time at once. */
  #poll(): void {
    const used = this.#identity.size + this.#authorities.size > 0;
    if (used === (this.#timer !== undefined)) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (!used) return;
    this.#timer = setInterval(() => void this.#reload(), this.watch.pollMs ?? POLL_MS).unref();
    void this.#reload();
  }

  async #reload(): Promise<void> {
    let found: Contents;
    try {
      found = Object.fromEntries(await Promise.all(parts.flatMap((part) => (this.files[part] === undefined ? [] : [read(part, this.files[part])]))));
      if (sameContents(found, this.current)) {
        this.#unusable = undefined;
        return;
      }
      validate(found, this.files);
    } catch (thrown) {
      this.#tell(Dd2Error.from(thrown));
      return;
    }
    this.#unusable = undefined;
    this.current = found;
    for (const listener of this.#authorities) listener(this.#authorityUpdate());
    for (const listener of this.#identity) listener(this.#identityUpdate());
    this.watch.onReload?.();
  }

  #tell(error: Dd2Error): void {
    if (this.#unusable?.contents !== error.message) this.#unusable = { contents: error.message, told: false };
    else if (!this.#unusable.told) {
      this.#unusable.told = true;
      this.watch.onTrouble?.(error);
    }
  }

  #identityUpdate(): experimental.IdentityCertificateUpdate | null {
    const { certFile: certificate, keyFile: privateKey } = this.current;
    return certificate && privateKey ? { certificate, privateKey } : null;
  }

  #authorityUpdate(): experimental.CaCertificateUpdate {
    return { caCertificate: this.current.caFile ?? knownAuthorities() };
  }
}

/** Those that Node came with, and those of NODE_EXTRA_CA_CERTS, which it trusts too but has not in its list. */
function knownAuthorities(): Buffer {
  return Buffer.from([...rootCertificates, ...extraAuthorities(process.env['NODE_EXTRA_CA_CERTS'])].join('\n'));
}

/** Node has warned when it started if it cannot read the file. */
function extraAuthorities(file = ''): string[] {
  if (file === '') return [];
  try {
    return readFileSync(file, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  } catch {
    return [];
  }
}

async function read(part: Part, file: string): Promise<[Part, Buffer]> {
  try {
    return [part, await readFile(file)];
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function sameContents(one: Contents, other: Contents): boolean {
  return parts.every((part) => (one[part] === undefined ? other[part] === undefined : other[part] !== undefined && one[part].equals(other[part])));
}

/** @throws {Dd2Error} INVALID_ARGUMENT naming the file */
function validate({ certFile: certificate, keyFile: privateKey, caFile: authorities }: Contents, files: TlsFiles): void {
  if (authorities) parsed(authorities, files.caFile, (pem) => new X509Certificate(pem));
  if (certificate && privateKey) {
    const parsedCertificate = parsed(certificate, files.certFile, (pem) => new X509Certificate(pem));
    const key = parsed(privateKey, files.keyFile, (pem) => createPrivateKey(pem));
    if (!parsedCertificate.checkPrivateKey(key)) {
      throw new Dd2Error('INVALID_ARGUMENT', `the private key does not belong to the certificate in ${files.certFile}`, { field: files.keyFile, remedy: 'Name the two files that were made together' });
    }
    if (Date.parse(parsedCertificate.validTo) <= Date.now()) {
      throw new Dd2Error('INVALID_ARGUMENT', `the certificate expired on ${parsedCertificate.validTo}`, { field: files.certFile, remedy: 'Make a new one (`dd2 certs init --renew` does for those that it made)' });
    }
  }
  parsed(certificate ?? authorities ?? Buffer.of(), files.certFile ?? files.caFile, () => createSecureContext({ cert: certificate, key: privateKey, ca: authorities }));
}

function parsed<T>(pem: Buffer, file: string | undefined, parse: (pem: Buffer) => T): T {
  try {
    return parse(pem);
  } catch (cause) {
    throw new Dd2Error('INVALID_ARGUMENT', `this is not the PEM that it should be: ${cause instanceof Error ? cause.message : String(cause)}`, { field: file, cause });
  }
}

function unreadable(file: string, cause: unknown): Dd2Error {
  return new Dd2Error('INVALID_ARGUMENT', `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { field: file, remedy: '`dd2 certs init` makes certificates', cause });
}

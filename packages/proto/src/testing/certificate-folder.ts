import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, issueCertificate, type CertifiedKey, type LeafOptions } from '../certificates.js';
import type { TlsFiles } from '../tls-certificates.js';

const DAY_MS = 86_400_000;

export const tomorrow = (): Date => new Date(Date.now() + DAY_MS);
export const yesterday = (): Date => new Date(Date.now() - DAY_MS);

/** A temporary folder with an authority and what it signs. */
export class CertificateFolder {
  private constructor(
    readonly path: string,
    readonly authority: CertifiedKey,
  ) {}

  static async make(): Promise<CertificateFolder> {
    const folder = new CertificateFolder(await mkdtemp(join(tmpdir(), 'dd2-tls-')), await createAuthority('test authority', { to: tomorrow() }));
    await folder.write('ca.crt', folder.authority.certificate);
    return folder;
  }

  /** Writes a certificate and its key as NAME.crt and NAME.key. */
  async issue(name: string, options: Partial<LeafOptions> = {}, authority = this.authority): Promise<Record<keyof TlsFiles, string>> {
    const purpose = name.startsWith('client') ? 'client' : 'server';
    const { certificate, privateKey } = await issueCertificate(authority, { purpose, name, hosts: purpose === 'server' ? ['127.0.0.1', '::1', 'localhost'] : [], to: tomorrow(), ...options });
    await this.write(`${name}.key`, privateKey);
    await this.write(`${name}.crt`, certificate);
    return { certFile: this.file(`${name}.crt`), keyFile: this.file(`${name}.key`), caFile: this.file('ca.crt') };
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** A reader sees the old content or the new one. */
  async write(name: string, text: string): Promise<void> {
    await writeFile(this.file(`${name}.new`), text);
    await rename(this.file(`${name}.new`), this.file(name));
  }

  remove(): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}

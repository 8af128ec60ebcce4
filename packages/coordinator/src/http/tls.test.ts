import { once } from 'node:events';
import { rename, writeFile } from 'node:fs/promises';
import { request, type RequestOptions } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { TlsCertificates, type TlsFiles } from '@dd2/proto';
import { createAuthority, issueCertificate } from '@dd2/proto/certificates';
import { expect, it } from 'vitest';
import { httpCoordinator } from '../testing/http-coordinator.js';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { createHttpServer } from './secure-server.js';
import { API } from './routes.js';

const to = new Date(Date.now() + 86_400_000);
const authority = await createAuthority('test', { to });

async function certificates(folder: string, name = 'server'): Promise<TlsFiles> {
  const { certificate, privateKey } = await issueCertificate(authority, { purpose: 'server', name, hosts: ['127.0.0.1'], to });
  const files = { certFile: join(folder, 'server.crt'), keyFile: join(folder, 'server.key'), caFile: join(folder, 'ca.crt') };
  for (const [file, content] of [[files.keyFile, privateKey], [files.certFile, certificate], [files.caFile, authority.certificate]] as const) {
    await writeFile(`${file}.new`, content);
    await rename(`${file}.new`, file);
  }
  return files;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** common name of the certificate */
  readonly name: string;
}

function ask(port: number, path: string, options: RequestOptions & { readonly content?: string } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, ca: authority.certificate, agent: false, ...options }, (answer) => {
      let body = '';
      const { CN: name = '' } = (answer.socket as TLSSocket).getPeerCertificate().subject;
      answer.on('data', (chunk: Buffer) => (body += chunk.toString()));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body, name: String(name) }));
    });
    sent.on('error', reject);
    sent.end(options.content);
  });
}

it('is spoken with the certificate of the coordinator, without one of the browser', async () => {
  const tls = await certificates(await temporaryFolder());
  const { url, token, coordinator } = await httpCoordinator({ access: { tls } });
  expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  const port = Number(new URL(url).port);
  expect((await ask(port, '/healthz')).headers['strict-transport-security']).toBe('max-age=31536000');
  expect((await ask(port, `${API}/cluster`)).status).toBe(401);
  expect((await ask(port, `${API}/cluster`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
  const login = await ask(port, `${API}/session`, { method: 'POST', headers: { 'content-type': 'application/json' }, content: JSON.stringify({ token }) });
  expect(login.headers['set-cookie']?.[0]).toMatch(/; HttpOnly; Secure; SameSite=Strict$/);
  await expect(ask(port, '/healthz', { ca: [] })).rejects.toThrow();
  await expect(fetch(url.replace('https:', 'http:'))).rejects.toThrow();
  await coordinator.close();
});

it('takes up new certificates while it runs', async () => {
  const folder = await temporaryFolder();
  const { server, release } = createHttpServer(TlsCertificates.load(await certificates(folder, 'first'), { pollMs: 20 }), (_request, response) => response.end('hello'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  expect(await ask(port, '/')).toMatchObject({ name: 'first', body: 'hello' });
  await certificates(folder, 'second');
  await expect.poll(async () => (await ask(port, '/')).name, { timeout: 10_000 }).toBe('second');
  release();
  server.close();
});

it('ends connections that never came to a handshake when it closes', async () => {
  const { url, coordinator } = await httpCoordinator({ access: { tls: await certificates(await temporaryFolder()) } });
  const silent = connect(Number(new URL(url).port), '127.0.0.1');
  await once(silent, 'connect');
  await ask(Number(new URL(url).port), '/healthz'); // by then the server knows the one before
  const ended = once(silent, 'close');
  await coordinator.close(); // would wait for the handshake otherwise, longer than a test may take
  await ended;
});

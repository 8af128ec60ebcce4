import { Server } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { startDelayProxy } from '../../../test/support/delay-proxy.mjs';
import { receiveBulk } from './bulk-receive.js';
import { sendBulk } from './bulk-send.js';
import { onHttp2Server } from './http2-server.js';
import { CertificateFolder } from './testing/certificate-folder.js';
import { gate, settled, startWorkerService } from './testing/worker-service.js';
import { TlsCertificates } from './tls-certificates.js';
import { WINDOW_BYTES } from './transport-options.js';

const MIB = 1024 ** 2;
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A worker and its coordinator with a 20 ms round trip between them. */
async function farApart(windowBytes?: number) {
  const release = gate();
  const taken = { count: 0 };
  const piece = new Uint8Array(64 * 1024);
  const pieces = 1_024; // 64 MiB
  function* source(): Generator<Uint8Array> {
    taken.count = 0;
    while (taken.count < pieces) {
      taken.count++;
      yield piece;
    }
  }
  const header = { totalBytes: pieces * piece.length };
  const service = await startWorkerService(
    {
      getParameters: async (_request, stream) => {
        await sendBulk(stream, header, source());
      },
      pushGradient: async (stream) => {
        await release.opened;
        await receiveBulk(stream, { maxBytes: header.totalBytes, onChunk: () => undefined });
        return { accepted: true };
      },
    },
    { windowBytes },
  );
  const proxy = await startDelayProxy(service.port, 10);
  const client = service.connect({ port: proxy.port, windowBytes });
  closers.push(service.close, () => proxy.close());
  await client.ready(5_000);
  return { service, client, release, header, source, bytesTaken: () => taken.count * piece.length };
}

describe('flow control over a long round trip', () => {
  it.each([undefined, 4 * MIB])('both ends grant windows of %s bytes (undefined: 16 MiB)', async (windowBytes) => {
    const expected = windowBytes ?? WINDOW_BYTES;
    const { service, client, release, header, source } = await farApart(windowBytes);
    release.open();
    const { stream, response } = client.pushGradient();
    await sendBulk(stream, header, source());
    await response;
    const [session, ...others] = service.server.flowControl();
    expect(others).toEqual([]);
    // What the client may send is the server's grant, what the server may send is the client's.
    expect(session?.receive.stream).toBe(expected);
    expect(session?.receive.connection).toBeGreaterThanOrEqual(expected);
    expect(session?.send.stream).toBe(expected);
    // less the answer, for which the client has not granted new bytes yet
    expect(session?.send.connection).toBeGreaterThanOrEqual(expected - 1_024);
  });

  it('so that a whole window is under way before the first byte is read, in both directions', async () => {
    const { client, release, header, source, bytesTaken } = await farApart();
    const queueBytes = 16 * 64 * 1024; // a Node stream of messages holds 16 of them
    const { stream, response } = client.pushGradient();
    const sent = sendBulk(stream, header, source());
    await expect.poll(bytesTaken, { timeout: 30_000 }).toBeGreaterThanOrEqual(WINDOW_BYTES - queueBytes);
    expect(await settled(bytesTaken)).toBeLessThanOrEqual(WINDOW_BYTES + 3 * queueBytes);
    release.open();
    await sent;
    await response;

    const download = client.getParameters({});
    await expect.poll(bytesTaken, { timeout: 30_000 }).not.toBe(header.totalBytes); // it has begun anew
    await expect.poll(bytesTaken, { timeout: 30_000 }).toBeGreaterThanOrEqual(WINDOW_BYTES - queueBytes);
    expect(await settled(bytesTaken)).toBeLessThanOrEqual(WINDOW_BYTES + 3 * queueBytes);
    await receiveBulk(download, { maxBytes: header.totalBytes, onChunk: () => undefined });
    expect(bytesTaken()).toBe(header.totalBytes);
  });

  it('over TLS as well', async () => {
    const folder = await CertificateFolder.make();
    closers.push(() => folder.remove());
    const service = await startWorkerService(
      { pushGradient: async (stream) => ({ accepted: (await receiveBulk(stream, { maxBytes: MIB, onChunk: () => undefined })).bytes === MIB }) },
      { tls: TlsCertificates.load({ ...(await folder.issue('server')), caFile: undefined }) },
    );
    closers.push(service.close);
    const { stream, response } = service.connect({ tls: TlsCertificates.load({ caFile: folder.file('ca.crt') }) }).pushGradient();
    await sendBulk(stream, { totalBytes: MIB }, [new Uint8Array(MIB)]);
    await expect(response).resolves.toMatchObject({ accepted: true });
    const [session] = service.server.flowControl();
    expect(session?.receive).toEqual({ stream: WINDOW_BYTES, connection: WINDOW_BYTES });
    expect(session?.send.stream).toBe(WINDOW_BYTES);
  });

  it('says so when grpc-js has changed', () => {
    const changed = Object.assign(new Server(), { createHttp2Server: undefined });
    expect(() => onHttp2Server(changed, () => undefined)).toThrow('@grpc/grpc-js');
  });
});

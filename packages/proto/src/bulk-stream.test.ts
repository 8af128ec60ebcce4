import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { Client, credentials } from '@grpc/grpc-js';
import { Dd2Error } from '@dd2/core';
import { afterEach, describe, expect, it } from 'vitest';
import { type BulkChunk, type BulkHeader, type BulkHeaderInit, CHUNK_BYTES } from './bulk-chunk.js';
import { receiveBulk, receiveBytes } from './bulk-receive.js';
import { sendBulk, type SentBulk } from './bulk-send.js';
import { fromStatus } from './status.js';
import { gate, settled, startWorkerService, type RunningService } from './testing/worker-service.js';

const MIB = 1024 ** 2;
const services: RunningService[] = [];
afterEach(async () => {
  for (const service of services.splice(0)) await service.close();
});
async function start(...args: Parameters<typeof startWorkerService>): Promise<RunningService> {
  const service = await startWorkerService(...args);
  services.push(service);
  return service;
}
const failureOf = (promise: Promise<unknown>): Promise<Dd2Error> =>
  promise.then(
    () => Promise.reject(new TypeError('it succeeded')),
    (error: unknown) => fromStatus(error),
  );
const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** `count` times the same piece; says how many were taken. */
function* repeated(piece: Uint8Array, count: number, taken: { count: number }): Generator<Uint8Array> {
  for (let index = 0; index < count; index++) {
    taken.count++;
    yield piece;
  }
}

describe('bulk streams over loopback', () => {
  const bytes = randomBytes(64 * MIB + 12_345);
  const header: BulkHeaderInit = { runId: 'r', leaseId: 'l', epoch: 3n, totalBytes: bytes.length, name: 'generator', version: 8n, dtype: 'uint8', shape: [bytes.length] };
  // Pieces that fit no chunk exactly, empty ones among them.
  const pieces = [bytes.subarray(0, 1), bytes.subarray(1, 1), bytes.subarray(1, 3 * MIB + 5), bytes.subarray(3 * MIB + 5)];

  it('carry 64 MiB from client to server', async () => {
    let received = '';
    const seen: BulkHeader[] = [];
    const service = await start({
      pushGradient: async (stream) => {
        const hash = createHash('sha256');
        const offsets: number[] = [];
        const result = await receiveBulk(stream, {
          maxBytes: bytes.length,
          onHeader: (opening) => void seen.push(opening),
          onChunk: async (data, offset) => {
            offsets.push(offset);
            hash.update(data);
            await Promise.resolve();
          },
        });
        received = hash.digest('hex');
        expect(result.bytes).toBe(bytes.length);
        expect(offsets).toEqual([0, 1, ...offsets.slice(2)]);
        return { accepted: true, reason: '' };
      },
    });
    const { stream, response } = service.connect().pushGradient();
    await expect(sendBulk(stream, header, pieces)).resolves.toEqual({ bytes: bytes.length, complete: true });
    await expect(response).resolves.toMatchObject({ accepted: true });
    expect(received).toBe(digest(bytes));
    expect(seen).toEqual([header]);
  });

  it('carry 64 MiB from server to client', async () => {
    const service = await start({
      getParameters: async ({ source, version }, stream) => {
        await sendBulk(stream, { ...header, name: source, version }, pieces);
      },
    });
    const { data, header: opening } = await receiveBytes(service.connect().getParameters({ source: 'ema', version: 9n }), { maxBytes: bytes.length });
    expect(digest(data)).toBe(digest(bytes));
    expect(opening).toMatchObject({ name: 'ema', version: 9n, shape: [bytes.length] });
  });

  it('carry nothing, and say what it is', async () => {
    const service = await start({
      getAsset: async (_request, stream) => {
        await sendBulk(stream, { totalBytes: 0, name: 'empty' }, []);
      },
    });
    const { data, header: opening } = await receiveBytes(service.connect().getAsset({}), { maxBytes: 0 });
    expect(data).toHaveLength(0);
    expect(opening.name).toBe('empty');
  });

  it('send views of the caller and cut chunks as configured', async () => {
    const sizes: number[] = [];
    const service = await start({
      pushGradient: async (stream) => {
        await receiveBulk(stream, { maxBytes: MIB, onChunk: (data) => void sizes.push(data.length) });
        return { accepted: true };
      },
    });
    const { stream, response } = service.connect().pushGradient();
    await sendBulk(stream, { totalBytes: 250_000 }, [bytes.subarray(0, 250_000)], { chunkBytes: 100_000 });
    await response;
    expect(sizes).toEqual([100_000, 100_000, 50_000]);
  });
});

describe('back-pressure', () => {
  const piece = new Uint8Array(64 * 1024);
  const total = 4_096; // pieces: 256 MiB
  const windowBytes = 2 * MIB;
  // Beside the window: 16 messages in each of the two Node streams, and what is between two of them.
  const bound = windowBytes / piece.length + 48;

  it('stops a client whose server does not read', async () => {
    const release = gate();
    const service = await start(
      {
        pushGradient: async (stream) => {
          await release.opened;
          await receiveBulk(stream, { maxBytes: total * piece.length, onChunk: () => undefined });
          return { accepted: true };
        },
      },
      { windowBytes },
    );
    const taken = { count: 0 };
    const { stream, response } = service.connect({ windowBytes }).pushGradient();
    const sent = sendBulk(stream, { totalBytes: total * piece.length }, repeated(piece, total, taken));
    expect(await settled(() => taken.count)).toBeLessThan(bound);
    release.open();
    await expect(sent).resolves.toMatchObject({ complete: true });
    await expect(response).resolves.toMatchObject({ accepted: true });
    expect(taken.count).toBe(total);
  });

  it('stops a server whose client reads slowly', async () => {
    const taken = { count: 0 };
    const service = await start(
      {
        getParameters: async (_request, stream) => {
          await sendBulk(stream, { totalBytes: total * piece.length }, repeated(piece, total, taken));
        },
      },
      { windowBytes },
    );
    const release = gate();
    let read = 0;
    const received = receiveBulk(service.connect({ windowBytes }).getParameters({}), {
      maxBytes: total * piece.length,
      onChunk: async () => {
        read++;
        if (read === 100) await release.opened;
      },
    });
    await expect.poll(() => read, { timeout: 30_000 }).toBe(100);
    expect((await settled(() => taken.count)) - read).toBeLessThan(bound);
    expect(read).toBe(100);
    release.open();
    await expect(received).resolves.toMatchObject({ bytes: total * piece.length });
  });
});

describe('streams that end early', () => {
  const piece = new Uint8Array(CHUNK_BYTES);
  const endless = { totalBytes: 1_000 * CHUNK_BYTES };

  it('an upload that its client cancels', async () => {
    const ended = gate();
    let seen: Dd2Error | undefined;
    const started = gate();
    const service = await start({
      pushGradient: async (stream, { signal }) => {
        const failure = await failureOf(receiveBulk(stream, { maxBytes: endless.totalBytes, onChunk: () => started.open() }));
        seen = failure;
        expect(signal.aborted).toBe(true);
        ended.open();
        throw failure;
      },
    });
    const controller = new AbortController();
    const { stream, response } = service.connect().pushGradient({ signal: controller.signal });
    const sent = failureOf(sendBulk(stream, endless, repeated(piece, 1_000, { count: 0 })));
    await started.opened;
    controller.abort();
    expect((await sent).code).toBe('CANCELLED');
    expect((await failureOf(response)).code).toBe('CANCELLED');
    await ended.opened;
    expect(seen?.code).toBe('CANCELLED');
  });

  it('a download that its client cancels, or whose receiver throws', async () => {
    const failures: Dd2Error[] = [];
    const service = await start({
      getParameters: async (_request, stream) => {
        const failure = await failureOf(sendBulk(stream, endless, repeated(piece, 1_000, { count: 0 })));
        failures.push(failure);
        throw failure;
      },
    });
    const client = service.connect();
    const controller = new AbortController();
    const first = receiveBulk(client.getParameters({}, { signal: controller.signal }), { maxBytes: Infinity, onChunk: () => controller.abort() });
    expect((await failureOf(first)).code).toBe('CANCELLED');
    const second = receiveBulk(client.getParameters({}), {
      maxBytes: Infinity,
      onChunk: () => {
        throw new Dd2Error('NON_FINITE', 'no use');
      },
    });
    expect((await failureOf(second)).code).toBe('NON_FINITE');
    expect((await failureOf(receiveBulk(client.getParameters({}), { maxBytes: 10, onChunk: () => undefined }))).code).toBe('PROTOCOL');
    await expect.poll(() => failures.map((failure) => failure.code)).toEqual(['CANCELLED', 'CANCELLED', 'CANCELLED']);
  });

  it('a gradient that the coordinator does not want any more', async () => {
    const service = await start({ pushGradient: async () => ({ accepted: false, reason: 'the backup lease was first' }) }, { windowBytes: MIB });
    const { stream, response } = service.connect({ windowBytes: MIB }).pushGradient();
    const sent: SentBulk = await sendBulk(stream, endless, repeated(piece, 1_000, { count: 0 }));
    expect(sent.complete).toBe(false);
    await expect(response).resolves.toMatchObject({ accepted: false, reason: 'the backup lease was first' });
  });

  it('a gradient of a stale lease', async () => {
    const service = await start({
      pushGradient: async (stream) => {
        await receiveBulk(stream, {
          maxBytes: Infinity,
          onHeader: ({ leaseId }) => {
            throw new Dd2Error('STALE_LEASE', 'the lease is not current', { field: leaseId });
          },
          onChunk: () => undefined,
        });
        return { accepted: true };
      },
    });
    const { stream, response } = service.connect().pushGradient();
    const failure = await failureOf(sendBulk(stream, { ...endless, leaseId: 'l-9' }, repeated(piece, 1_000, { count: 0 })));
    expect(failure).toMatchObject({ code: 'STALE_LEASE', field: 'l-9' });
    expect(await failureOf(response)).toMatchObject({ code: 'STALE_LEASE', field: 'l-9' });
  });

  it('a source that fails, or has other bytes than it announced, ends the call', async () => {
    const seen: string[] = [];
    let arrived = gate();
    const service = await start({
      pushGradient: async (stream) => {
        const failure = await failureOf(receiveBulk(stream, { maxBytes: Infinity, onHeader: () => arrived.open(), onChunk: () => undefined }));
        seen.push(failure.code);
        throw failure;
      },
    });
    const client = service.connect();
    /** One piece, and the rest once it is there. */
    async function* upload(rest: () => Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      arrived = gate();
      yield piece;
      await arrived.opened;
      yield* rest();
    }
    const fail = (totalBytes: number, rest: () => Iterable<Uint8Array>): Promise<Dd2Error> => failureOf(sendBulk(client.pushGradient().stream, { totalBytes }, upload(rest)));
    const corrupt = (): never => {
      throw new Dd2Error('CHECKPOINT_CORRUPT', 'the shard is gone');
    };
    expect((await fail(3 * CHUNK_BYTES, corrupt)).code).toBe('CHECKPOINT_CORRUPT');
    expect((await fail(3 * CHUNK_BYTES, () => [piece])).code).toBe('INVALID_ARGUMENT');
    expect((await fail(CHUNK_BYTES + 5, () => [piece])).code).toBe('INVALID_ARGUMENT');
    await expect.poll(() => seen).toEqual(['CANCELLED', 'CANCELLED', 'CANCELLED']);
  });

  it('a coordinator that goes away', async () => {
    const service = await startWorkerService({
      getParameters: async (_request, stream) => {
        await sendBulk(stream, endless, repeated(piece, 1_000, { count: 0 }));
      },
    });
    const client = service.connect();
    const failure = await failureOf(
      receiveBulk(client.getParameters({}), {
        maxBytes: Infinity,
        onChunk: (_data, offset) => {
          if (offset === 0) void service.server.close();
        },
      }),
    );
    expect(['UNAVAILABLE', 'CANCELLED']).toContain(failure.code);
    await service.close();
  });
});

describe('malformed streams', () => {
  const header: BulkHeader = { runId: '', leaseId: '', epoch: 0n, totalBytes: 6, name: 'x', version: 0n, dtype: undefined, shape: [] };
  const data = Uint8Array.of(1, 2, 3);
  const receive = (chunks: BulkChunk[], maxBytes = 100): Promise<unknown> => receiveBulk(Readable.from(chunks), { maxBytes, onChunk: () => undefined });

  it('is accepted when it is well-formed', async () => {
    await expect(receive([{ header, offset: 0, data }, { offset: 3, data }])).resolves.toMatchObject({ bytes: 6 });
    await expect(receive([{ header, offset: 0, data: new Uint8Array(0) }, { offset: 0, data }, { offset: 3, data }])).resolves.toMatchObject({ bytes: 6 });
  });

  it.each<[string, BulkChunk[]]>([
    ['is empty', []],
    ['has no header', [{ offset: 0, data }]],
    ['has two headers', [{ header, offset: 0, data }, { header, offset: 3, data }]],
    ['has a gap', [{ header, offset: 0, data }, { offset: 4, data: data.subarray(0, 2) }]],
    ['repeats bytes', [{ header, offset: 0, data }, { offset: 0, data }]],
    ['starts late', [{ header, offset: 3, data }]],
    ['is too long', [{ header, offset: 0, data }, { offset: 3, data: new Uint8Array(4) }]],
    ['is truncated', [{ header, offset: 0, data }]],
    ['has empty chunks', [{ header, offset: 0, data }, { offset: 3, data: new Uint8Array(0) }, { offset: 3, data }]],
  ])('is refused when it %s', async (_name, chunks) => {
    expect((await failureOf(receive(chunks))).code).toBe('PROTOCOL');
  });

  it('is refused when it announces more than is allowed', async () => {
    expect(await failureOf(receive([{ header, offset: 0, data }], 5))).toMatchObject({ code: 'PROTOCOL', field: 'total_bytes' });
  });

  it('does not disturb the server when it is no protobuf at all', async () => {
    const failures: string[] = [];
    const service = await start({
      pushGradient: async (stream) => {
        const failure = await failureOf(receiveBulk(stream, { maxBytes: 1_000, onChunk: () => undefined }));
        failures.push(failure.code);
        throw failure;
      },
    });
    const raw = new Client(`127.0.0.1:${service.port}`, credentials.createInsecure());
    const error = await new Promise((resolve) => {
      const stream = raw.makeClientStreamRequest('/dd2.v1.WorkerService/PushGradient', (bytes: Buffer) => bytes, (bytes) => bytes, resolve);
      stream.write(Buffer.from([0xff, 0xff, 0xff]));
    });
    raw.close();
    expect(error).toBeInstanceOf(Error);
    await expect.poll(() => failures).toHaveLength(1);
    const { stream, response } = service.connect().pushGradient();
    await sendBulk(stream, { totalBytes: 3_000 }, [new Uint8Array(3_000)]).catch(() => undefined);
    expect((await failureOf(response)).code).toBe('PROTOCOL');
  });
});

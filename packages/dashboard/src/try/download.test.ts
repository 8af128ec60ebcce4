import { expect, it } from 'vitest';
import { download, type DownloadProgress } from './download.js';

const stream = (...pieces: readonly number[][]): ReadableStream<Uint8Array<ArrayBuffer>> =>
  new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(Uint8Array.from(piece));
      controller.close();
    },
  });

it('puts the pieces together and tells how far it is', async () => {
  const told: DownloadProgress[] = [];
  const whole = await download(new Response(stream([1, 2], [3]), { headers: { 'content-length': '3' } }), (progress) => told.push(progress));
  expect([...whole]).toEqual([1, 2, 3]);
  expect(told).toEqual([{ received: 2, total: 3 }, { received: 3, total: 3 }]);
});

it('does not know the size of what travels compressed, or of what nobody tells', async () => {
  for (const headers of [{ 'content-length': '2', 'content-encoding': 'br' }, {}] as Record<string, string>[]) {
    const told: DownloadProgress[] = [];
    expect(await download(new Response(stream([1, 2, 3]), { headers }), (progress) => told.push(progress))).toHaveLength(3);
    expect(told).toEqual([{ received: 3, total: undefined }]);
  }
});

it('refuses an answer that ends too early or breaks', async () => {
  await expect(download(new Response(stream([1]), { headers: { 'content-length': '3' } }), () => undefined)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  const broken = (): Response => new Response(new ReadableStream({ pull: (controller) => controller.error(new Error('reset')) }));
  await expect(download(broken(), () => undefined)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(download(broken(), () => undefined, AbortSignal.abort(new Error('left')))).rejects.toThrow('left');
});

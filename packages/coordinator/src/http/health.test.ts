import { expect, it } from 'vitest';
import { liveness, readiness } from './health.js';

const fence = { lost: new AbortController().signal };
const up = { fence, store: () => ({ stuckMs: 0 }), listens: () => true, closing: () => false };

it('is alive while jobs are taken, and while the store is away', () => {
  expect(liveness(up)).toEqual({ ok: true, reasons: [] });
  expect(liveness({ ...up, store: () => undefined })).toMatchObject({ ok: true });
  expect(liveness({ ...up, store: () => ({ stuckMs: 60_000 }) })).toMatchObject({ ok: true });
  expect(liveness({ ...up, store: () => ({ stuckMs: 150_000 }) })).toEqual({ ok: false, reasons: ['no job has been taken from the queues for 150 s, though their store answers'] });
});

it('is ready when the fence is held, the queues are opened and workers can connect', () => {
  expect(readiness(up)).toEqual({ ok: true, reasons: [] });
  const lost = { lost: AbortSignal.abort() };
  expect(readiness({ fence: lost, store: () => undefined, listens: () => false, closing: () => true })).toMatchObject({ ok: false, reasons: { length: 4 } });
  expect(readiness({ ...up, store: () => undefined })).toEqual({ ok: false, reasons: ['the queues are not opened yet'] });
  expect(liveness({ ...up, fence: lost })).toMatchObject({ ok: false });
});

it('is alive, and not ready, while it stops', () => {
  const stops = { ...up, closing: () => true };
  expect([liveness(stops), readiness(stops)]).toEqual([{ ok: true, reasons: [] }, { ok: false, reasons: ['the coordinator stops'] }]);
});

import { Dd2Error } from '@dd2/core';
import { expect, it } from 'vitest';
import { WorkerHealth } from './worker-health.js';

const MINUTE_MS = 60_000;

/** An engine that answers when it is told to. */
class FakeEngine {
  readonly #asked: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

  unloadProgram(): Promise<void> {
    return new Promise((resolve, reject) => this.#asked.push({ resolve, reject }));
  }

  get questions(): number {
    return this.#asked.length;
  }

  async answer(): Promise<void> {
    for (const { resolve } of this.#asked.splice(0)) resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }

  async die(): Promise<void> {
    for (const { reject } of this.#asked.splice(0)) reject(new Dd2Error('UNAVAILABLE', 'the thread has ended'));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function worker() {
  const clock = { ms: 0 };
  const leave = new AbortController();
  const engine = new FakeEngine();
  const health = new WorkerHealth(leave.signal, { leaseMs: 30 * MINUTE_MS, startMs: 10 * MINUTE_MS, idleMs: MINUTE_MS }, () => clock.ms);
  health.engineStarting();
  return { clock, leave, engine, health };
}

const ok = { ok: true, reasons: [] };

it('is ready from the welcome on, while it is connected', () => {
  const { engine, health } = worker();
  expect(health.readiness()).toEqual({ ok: false, reasons: ['no coordinator has let this worker in', 'the engine is being started'] });
  health.engineStarted(engine);
  expect(health.readiness()).toEqual({ ok: false, reasons: ['no coordinator has let this worker in'] });
  health.welcomed();
  expect(health.readiness()).toEqual(ok);
  health.disconnected();
  expect([health.readiness().ok, health.liveness()]).toEqual([false, ok]);
});

it('is not ready while it leaves, and yet alive', () => {
  const { engine, health, leave } = worker();
  health.engineStarted(engine);
  health.welcomed();
  leave.abort();
  expect(health.readiness()).toEqual({ ok: false, reasons: ['the worker leaves'] });
  expect(health.liveness()).toEqual(ok);
});

it('asks the engine for one sign of life at a time, and waits for none', async () => {
  const { clock, engine, health } = worker();
  health.engineStarted(engine);
  for (clock.ms = 0; clock.ms <= MINUTE_MS; clock.ms += 10_000) expect(health.liveness()).toEqual(ok);
  expect(engine.questions).toBe(1);
  clock.ms = MINUTE_MS + 1_000;
  expect(health.liveness()).toEqual({ ok: false, reasons: ['the engine has not answered for 61 s'] });
  await engine.answer();
  expect([health.liveness(), engine.questions]).toEqual([ok, 1]);
});

it('lets a lease compute for long, but not for ever', async () => {
  const { clock, engine, health } = worker();
  health.engineStarted(engine);
  health.welcomed();
  health.computing(true);
  expect(health.liveness()).toEqual(ok);
  clock.ms = 30 * MINUTE_MS;
  expect([health.liveness(), health.readiness()]).toEqual([ok, ok]);
  // without its coordinator it still computes
  health.disconnected();
  expect(health.liveness()).toEqual(ok);
  clock.ms += 1_000;
  expect(health.liveness()).toEqual({ ok: false, reasons: ['the engine has not answered for 1801 s'] });
  await engine.answer();
  health.computing(false);
  expect(health.liveness()).toEqual(ok);
});

it('is neither ready nor alive when the thread of the engine has ended, until there is another', async () => {
  const { engine, health } = worker();
  health.engineStarted(engine);
  health.welcomed();
  expect(health.liveness()).toEqual(ok);
  await engine.die();
  const dead = { ok: false, reasons: ["the engine's thread has ended"] };
  expect([health.liveness(), health.readiness()]).toEqual([dead, dead]);
  health.engineStarting();
  expect([health.liveness(), health.readiness().reasons]).toEqual([ok, ['the engine is being started']]);
  health.engineStarted(new FakeEngine());
  expect([health.liveness(), health.readiness()]).toEqual([ok, ok]);
});

it('does not take the last word of an engine for that of the next one', async () => {
  const { engine, health } = worker();
  health.engineStarted(engine);
  health.liveness();
  health.engineStarting();
  health.engineStarted(new FakeEngine());
  await engine.die();
  expect(health.liveness()).toEqual(ok);
});

it('says when an engine does not start', () => {
  const { clock, health } = worker();
  clock.ms = 10 * MINUTE_MS;
  expect(health.liveness()).toEqual(ok);
  clock.ms += 1_000;
  expect(health.liveness()).toEqual({ ok: false, reasons: ['the engine has been starting for 601 s'] });
});

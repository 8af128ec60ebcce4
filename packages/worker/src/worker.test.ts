import { Dd2Error } from '@dd2/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeCoordinator } from './testing/fake-coordinator.js';
import { runWorker } from './worker.js';

let coordinator: FakeCoordinator;
let abort: AbortController;

beforeEach(async () => {
  coordinator = new FakeCoordinator();
  await coordinator.listen();
  abort = new AbortController();
});

afterEach(async () => {
  abort.abort();
  await coordinator.close();
});

function worker(more: { readonly reconnect?: boolean } = {}): Promise<void> {
  return runWorker({ coordinator: coordinator.address, name: 'worker', provider: 'cpu', intraOpThreads: 1, signal: abort.signal, ...more });
}

describe('runWorker', () => {
  it('dials again under the same id when the session breaks or the coordinator asks for it, until it is sent home', async () => {
    const ended = worker();
    const { workerId } = await coordinator.until('hello');
    const endings = [
      () => coordinator.hangUp(),
      () => coordinator.hangUp(new Dd2Error('UNAVAILABLE', 'the worker was silent')),
      () => coordinator.send({ case: 'shutdown', value: { reconnect: true } }),
    ];
    for (const end of endings) {
      coordinator.heard.splice(0);
      end();
      expect((await coordinator.until('hello')).workerId).toBe(workerId);
    }
    coordinator.send({ case: 'shutdown', value: { reconnect: false } });
    await ended;
  });

  it('ends when it is aborted, also while nobody answers', async () => {
    const ended = worker();
    await coordinator.until('hello');
    await coordinator.close();
    abort.abort();
    await ended;
  });

  it('ends with the error when dialling again cannot help or is not wanted', async () => {
    const refused = expect(worker()).rejects.toMatchObject({ code: 'PROTOCOL', field: 'protocol_version' });
    await coordinator.until('hello');
    coordinator.hangUp(new Dd2Error('PROTOCOL', 'another version', { field: 'protocol_version' }));
    await refused;
    coordinator.heard.splice(0);
    const once = expect(worker({ reconnect: false })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await coordinator.until('hello');
    coordinator.hangUp();
    await once;
  });
});

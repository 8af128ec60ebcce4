import { Dd2Error } from '@dd2/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Cable } from './testing/cable.js';
import { FakeCoordinator } from './testing/fake-coordinator.js';
import { runWorker, type WorkerEnd } from './worker.js';

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

function worker(more: { readonly reconnect?: boolean; readonly role?: 'teacher'; readonly coordinator?: string } = {}): Promise<WorkerEnd> {
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
    expect(await ended).toEqual({ drained: true });
  });

  it('says which work it is for', async () => {
    const ended = worker({ role: 'teacher' });
    expect((await coordinator.until('hello')).pool).toBe('teacher');
    abort.abort();
    await ended;
  });

  it('notices within seconds that the network is cut, in either direction, and dials again', async () => {
    await Promise.all(
      (['toCoordinator', 'toWorker'] as const).map(async (direction) => {
        const played = new FakeCoordinator();
        await played.listen();
        const cable = await Cable.between(played.address);
        const leave = new AbortController();
        const ended = runWorker({ coordinator: cable.address, provider: 'cpu', intraOpThreads: 1, signal: leave.signal });
        await played.until('hello');
        played.send({ case: 'welcome', value: { heartbeatIntervalMs: 100 } });
        await played.until('heartbeat');
        played.heard.splice(0);
        cable[direction] = false;
        await cable.dialled(2);
        cable[direction] = true;
        await played.until('hello');
        leave.abort();
        await ended;
        await cable.close();
        await played.close();
      }),
    );
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
    const stranger = expect(worker()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await coordinator.until('hello');
    coordinator.hangUp(new Dd2Error('UNAUTHENTICATED', 'another token'));
    await stranger;
    coordinator.heard.splice(0);
    const once = expect(worker({ reconnect: false })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await coordinator.until('hello');
    coordinator.hangUp();
    await once;
  });
});

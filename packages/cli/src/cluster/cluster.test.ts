import type { ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import type { Dd2Error } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import { listenForInterrupt } from './interrupt.js';
import { WorkerSupervisor } from './worker-supervisor.js';

/** What the supervisor uses of a child process. */
class FakeChild extends EventEmitter {
  readonly pid = 1;
  connected = true;
  exitCode: number | null = null;
  signalCode: NodeJS.Signals | null = null;

  end(code: number): void {
    if (this.exitCode !== null) return;
    this.exitCode = code;
    this.emit('exit', code, null);
  }

  /** leaves when its channel closes, as `dd2 worker` does */
  disconnect(): void {
    this.connected = false;
    setImmediate(() => this.end(0));
  }
}

function supervise(count: number) {
  const events = new EventEmitter<{ spawn: [FakeChild]; restart: [string]; fatal: [Dd2Error] }>();
  const children: FakeChild[] = [];
  const supervisor = new WorkerSupervisor({
    count,
    spawn: () => {
      const child = new FakeChild();
      children.push(child);
      setImmediate(() => events.emit('spawn', child));
      return child as unknown as ChildProcess;
    },
    onRestart: (name, reason, delayMs) => events.emit('restart', `${name}: ${reason} ${delayMs}`),
    onFatal: (error) => events.emit('fatal', error),
    firstDelayMs: 1,
  });
  return { supervisor, events, children };
}

describe('WorkerSupervisor', () => {
  it('starts a dead worker again, later each time', async () => {
    const { supervisor, events, children } = supervise(1);
    await once(events, 'spawn');
    const reasons: string[] = [];
    events.on('restart', (reason) => reasons.push(reason));
    for (let i = 0; i < 3; i++) {
      const spawned = once(events, 'spawn');
      children.at(-1)?.end(9);
      await spawned;
    }
    expect(reasons).toEqual(['worker 0: exit code 9 1', 'worker 0: exit code 9 2', 'worker 0: exit code 9 4']);
    await supervisor.close();
  });

  it('gives up on what starting again cannot help', async () => {
    const { supervisor, events, children } = supervise(2);
    await once(events, 'spawn');
    const fatal = once(events, 'fatal');
    children[0]?.emit('message', { code: 'PROVIDER_UNAVAILABLE', message: 'no such device' });
    children[0]?.end(1);
    expect((await fatal)[0]).toMatchObject({ code: 'PROVIDER_UNAVAILABLE', message: 'no such device' });
    children[1]?.end(1);
    expect(children).toHaveLength(2);
    await supervisor.close();
  });

  it('ends its workers when it is closed, and starts none', async () => {
    const { supervisor, children } = supervise(2);
    await supervisor.close();
    expect(children.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(children).toHaveLength(2);
  });
});

describe('listenForInterrupt', () => {
  it('aborts once, takes simultaneous signals for one, and forces at the next', () => {
    const source = new EventEmitter() as unknown as NodeJS.Process;
    let now = 0;
    let forced = 0;
    const { signal, dispose } = listenForInterrupt(() => (forced += 1), source, () => now);
    expect(signal.aborted).toBe(false);
    source.emit('SIGINT');
    now = 10;
    source.emit('SIGTERM');
    expect([signal.aborted, forced]).toEqual([true, 0]);
    now = 2_000;
    source.emit('SIGINT');
    expect(forced).toBe(1);
    dispose();
    expect(source.listenerCount('SIGINT')).toBe(0);
  });
});

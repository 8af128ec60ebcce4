import type { Lease } from '@dd2/proto';
import { expect, it } from 'vitest';
import { LeaseQueue } from './lease-queue.js';

function lease(leaseId: string): Lease {
  return { leaseId } as Lease;
}

/** A queue whose executions end when they are told to. */
function queue(): { readonly leases: LeaseQueue; readonly executed: string[]; readonly finish: () => void } {
  const executed: string[] = [];
  const ends: (() => void)[] = [];
  const leases = new LeaseQueue(({ leaseId }) => {
    executed.push(leaseId);
    return new Promise((resolve) => ends.push(resolve));
  });
  return { leases, executed, finish: () => ends.shift()?.() };
}

it('executes leases one after the other, without those that were revoked meanwhile', async () => {
  const { leases, executed, finish } = queue();
  for (const id of ['a', 'b', 'c']) leases.push(lease(id));
  expect([executed, leases.current?.leaseId]).toEqual([['a'], 'a']);
  leases.revoke('b');
  leases.revoke('a'); // too late: it is being executed
  finish();
  await Promise.resolve();
  await Promise.resolve();
  expect(executed).toEqual(['a', 'c']);
  finish();
  await leases.idle();
  expect(leases.current).toBeUndefined();
});

it('takes a lease in the very tick in which it becomes idle', async () => {
  const { leases, executed, finish } = queue();
  leases.push(lease('a'));
  const idle = leases.idle().then(() => leases.push(lease('b')));
  finish();
  await idle;
  expect(executed).toEqual(['a', 'b']);
});

it('forgets what waits when it is cleared', async () => {
  const { leases, executed, finish } = queue();
  leases.push(lease('a'));
  leases.push(lease('b'));
  leases.clear();
  finish();
  await leases.idle();
  expect(executed).toEqual(['a']);
});

it('runs tasks between leases, and keeps them when it is cleared', async () => {
  const { leases, executed, finish } = queue();
  leases.push(lease('a'));
  leases.run(async () => void executed.push(`task, while ${leases.current?.leaseId ?? 'nothing'} is executed`));
  leases.push(lease('b'));
  leases.clear();
  finish();
  await leases.idle();
  expect(executed).toEqual(['a', 'task, while nothing is executed']);
});

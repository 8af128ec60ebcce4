import { expect, it } from 'vitest';
import type { Worker } from '../api/client.js';
import { conductOf, stragglerOf } from './conduct.js';

const now = Date.parse('2026-01-01T00:10:00Z');
const worker = (more: Partial<Worker> = {}): Worker => ({
  workerId: 'w', name: 'w', host: 'h', processId: 1, provider: 'cpu', device: '', intraOpThreads: 1, pool: '', state: 'WORKER_STATE_BUSY', joinedAt: '2026-01-01T00:00:00Z', lastHeardAt: '2026-01-01T00:09:58Z',
  leases: [], leasesDone: '100', leasesFailed: '0', straggled: '0', microBatchesPerSecond: 1, busy: 1, ...more,
});

it('says nothing about a worker that does its work', () => {
  expect(conductOf(worker(), now)).toEqual([]);
  expect(conductOf(worker({ straggled: '9' }), now)).toEqual([]);
});

it('tells stragglers by the share of their leases, once there are enough to tell', () => {
  expect(stragglerOf({ leasesDone: '100', straggled: '10' })).toBe(true);
  expect(stragglerOf({ leasesDone: '0', straggled: '1' })).toBe(false);
  expect(stragglerOf({ leasesDone: '3', straggled: '2' })).toBe(true);
  expect(stragglerOf({ leasesDone: '0', straggled: '0' })).toBe(false);
});

it('says why and for how long a worker gets nothing, and who is silent', () => {
  expect(conductOf(worker({ state: 'WORKER_STATE_PUT_ASIDE', asideUntil: '2026-01-01T00:10:30Z' }), now)).toEqual([expect.stringContaining('for 30 s more')]);
  expect(conductOf(worker({ state: 'WORKER_STATE_PUT_ASIDE', asideUntil: '2026-01-01T00:00:30Z' }), now)).toEqual([expect.not.stringContaining('more;')]);
  expect(conductOf(worker({ lastHeardAt: '2026-01-01T00:09:00Z' }), now)).toEqual(['was last heard 1 min ago.']);
});

import { Dd2Error, splitPoint } from '@dd2/core';
import type { LeaseResult } from '@dd2/proto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Dispatcher, type Job, type JobOutcome } from './dispatcher.js';
import { findLease, wireId } from './lease-id.js';
import { leaseReport } from './lease-report.js';
import type { Lease } from './lease-table.js';
import { ReductionTree, type Span } from './reduction-tree.js';

/**
 * From leases to commits, without time and without a network: messages wait in a bag, and a generated schedule decides which
 * one arrives next, which ones arrive twice, and what happens to workers meanwhile. Whatever it is, every update must commit
 * the same float32 sum, with every micro-batch counted once.
 */
const EPOCH = 7n;
const signature: Job['signature'] = { name: 'program', metrics: [{ name: 'loss', value: 'loss' }], results: [] };

/**
 * What a worker does with its leases. Only the honest ones' gradients may ever count. There is one worker at most that
 * invents values that are not finite: two that agree are believed.
 */
type Nature = 'honest' | 'says NaN' | 'sends NaN' | 'fails' | 'answers for others' | 'stays silent';

interface Message {
  readonly session: string;
  readonly leaseId: string;
  readonly epoch: bigint;
  readonly content: { readonly gradient: number } | { readonly result: LeaseResult } | { readonly failure: true } | { readonly leaving: string };
}

/** Of one micro-batch: float32 values whose sum depends on the order of the additions. */
function gradientOf(update: number, microBatch: number): number {
  return Math.fround(Math.sin(update * 31 + microBatch * 7) * 10 ** ((microBatch * 5 + update) % 9));
}

function sumOf(update: number, { from, to }: Span): number {
  if (to - from === 1) return gradientOf(update, from);
  const middle = from + splitPoint(to - from);
  return Math.fround(sumOf(update, { from, to: middle }) + sumOf(update, { from: middle, to }));
}

class World {
  readonly dispatcher = new Dispatcher({ now: () => this.now });
  readonly sessions = new Map<string, { readonly identity: string; readonly held: Map<string, Lease<Job>> }>();
  readonly bag: Message[] = [];
  /** messages that have arrived: any of them may arrive again */
  readonly arrived: Message[] = [];
  readonly commits: { readonly update: number; readonly sum: number; readonly losses: number[] }[] = [];
  now = 0;
  #tree = new ReductionTree<number>(1, { merge: (a, b) => Math.fround(a + b), release: () => undefined });
  #nonFinite = false;
  #names = 0;

  join(nature: Nature, capacity: number): void {
    const identity = nature.endsWith('NaN') ? 'inventor' : `${nature} ${this.#names}`;
    if ([...this.sessions.values()].some((session) => session.identity === identity)) return;
    const name = `session-${this.#names++}`;
    const held = new Map<string, Lease<Job>>();
    this.sessions.set(name, { identity, held });
    this.dispatcher.join(
      name,
      { capacity, execution: 'cpu', pool: '', identity },
      {
        lease: (lease) => {
          held.set(wireId(lease), lease);
          this.#compute(name, nature, lease);
        },
        revoke: (lease) => void held.delete(wireId(lease)),
        forget: () => undefined,
        putAside: () => expect(nature).not.toBe('honest'),
      },
    );
  }

  leave(name: string): void {
    this.sessions.delete(name);
    this.dispatcher.leave(name); // what it has sent stays in the bag
  }

  /** Begins the next update; `truth` says whether its gradient is finite. */
  async begin(update: number, microBatches: number, truth: boolean): Promise<void> {
    this.#tree = new ReductionTree<number>(microBatches, { merge: (a, b) => Math.fround(a + b), release: () => undefined });
    this.#nonFinite = false;
    const tree = this.#tree;
    const job: Job = {
      runId: 'run',
      programId: 'p',
      signature,
      execution: 'cpu',
      seed: truth ? 1 : 0,
      update,
      firstSample: 0,
      microBatches,
      blocks: 'summed',
      priority: 0,
      parameters: {},
      assets: {},
      gradient: {
        size: 1,
        reduction: {
          contribute: async () => true,
          contributeFile: async () => true,
          contributeNonFinite: () => void (this.#nonFinite = true),
          complete: Promise.resolve(0),
        },
      },
    };
    const { microBatches: outcomes }: JobOutcome = await this.dispatcher.run(job);
    expect(outcomes.map(({ index }) => index)).toEqual(Array.from({ length: microBatches }, (_, index) => index));
    const sum = this.#nonFinite ? NaN : tree.root;
    expect(sum, 'every micro-batch is in the sum').toBeDefined();
    this.commits.push({ update, sum: sum ?? 0, losses: outcomes.map(({ metrics }) => metrics['loss'] ?? 0) });
  }

  deliver(message: Message): void {
    this.arrived.push(message);
    const { session, content } = message;
    if (!('gradient' in content) && !this.sessions.has(session)) return; // its stream is gone
    const lease = findLease(this.dispatcher, EPOCH, message, 'gradient' in content ? undefined : session);
    if ('leaving' in content) return this.dispatcher.drain(session, findLease(this.dispatcher, EPOCH, { leaseId: content.leaving, epoch: EPOCH }, session)?.id);
    if (!lease) return;
    if ('failure' in content) return this.dispatcher.failed(lease.id, new Dd2Error('INTERNAL', 'it failed'));
    if ('gradient' in content) {
      const finite = Number.isFinite(content.gradient);
      if (finite) this.#tree.offer(lease.span, content.gradient);
      return this.dispatcher.gradientReceived(lease.id, finite);
    }
    try {
      const report = leaseReport(lease, content.result);
      if (content.result.nonFinite) this.dispatcher.gradientReceived(lease.id, false);
      this.dispatcher.reported(lease.id, report);
    } catch (error) {
      this.dispatcher.failed(lease.id, Dd2Error.from(error));
    }
  }

  #compute(session: string, nature: Nature, lease: Lease<Job>): void {
    const { span, job } = lease;
    const leaseId = wireId(lease);
    const post = (content: Message['content'], more: Partial<Message> = {}): void => void this.bag.push({ session, leaseId, epoch: EPOCH, content, ...more });
    const result = (more: Partial<LeaseResult> = {}): Message['content'] => {
      const microBatches = Array.from({ length: span.to - span.from }, (_, i) => ({ index: span.from + i, metrics: { loss: span.from + i }, results: [] }));
      return { result: { microBatches, computeMs: 1, transferMs: 0, nonFinite: false, ...more } as unknown as LeaseResult };
    };
    const honest = job.seed === 1 ? sumOf(job.update, span) : NaN;
    switch (nature) {
      case 'honest':
        if (Number.isFinite(honest)) {
          post({ gradient: honest });
          post(result());
        } else post(result({ nonFinite: true }));
        return;
      case 'says NaN':
        return post(result({ nonFinite: true }));
      case 'sends NaN':
        post(result());
        return post({ gradient: NaN });
      case 'fails':
        return post({ failure: true });
      case 'answers for others': {
        // Leases of others, of other epochs, with results of other shapes: as many as it can think of.
        for (const [other, { held }] of this.sessions) {
          for (const id of held.keys()) if (other !== session) post(result(), { leaseId: id });
        }
        post({ gradient: 123 }, { epoch: EPOCH - 1n });
        post({ gradient: 123 }, { leaseId: `${lease.id}-someone` });
        post({ failure: true }, { leaseId: `${lease.id}` });
        return post(result({ microBatches: [] }));
      }
      case 'stays silent':
        return;
    }
  }
}

const nature = fc.constantFrom<Nature>('honest', 'honest', 'says NaN', 'sends NaN', 'fails', 'answers for others', 'stays silent');
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('deliver' as const), pick: fc.nat(1_000) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('again' as const), pick: fc.nat(1_000) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('join' as const), nature, capacity: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), pick: fc.nat(1_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drain' as const), pick: fc.nat(1_000), finishes: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 100_000 }) }) },
);

it('commits every update once, with the same bits, under any schedule in which one honest worker stays', async () => {
  const pick = <T>(from: readonly T[], index: number): T | undefined => from[index % Math.max(1, from.length)];
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ microBatches: fc.integer({ min: 1, max: 13 }), finite: fc.boolean() }), { minLength: 1, maxLength: 4 }), fc.array(step, { maxLength: 150 }), async (updates, steps) => {
      const world = new World();
      world.join('honest', 1); // session-0 stays
      const run = (async () => {
        for (const [update, { microBatches, finite }] of updates.entries()) await world.begin(update, microBatches, finite || update % 2 === 0);
      })();
      let failure: unknown;
      run.catch((error: unknown) => (failure = error));
      const others = (): string[] => [...world.sessions.keys()].filter((name) => name !== 'session-0');
      for (const action of steps) {
        switch (action.kind) {
          case 'deliver': {
            const [message] = world.bag.splice(action.pick % Math.max(1, world.bag.length), 1);
            if (message) world.deliver(message);
            break;
          }
          case 'again': {
            const message = pick(world.arrived, action.pick);
            if (message) world.deliver(message);
            break;
          }
          case 'join':
            world.join(action.nature, action.capacity);
            break;
          case 'leave': {
            const name = pick(others(), action.pick);
            if (name !== undefined) world.leave(name);
            break;
          }
          case 'drain': {
            const name = pick(others(), action.pick);
            const held = [...(world.sessions.get(name ?? '')?.held.keys() ?? [])];
            if (name !== undefined) world.deliver({ session: name, leaseId: '', epoch: EPOCH, content: { leaving: pick([...held, ''], action.finishes) ?? '' } });
            break;
          }
          case 'wait':
            world.now += action.ms;
            world.dispatcher.tick();
            break;
        }
        await Promise.resolve();
      }
      // Everything that was sent arrives, silent workers are given up in the end, and the one that stays does the rest.
      for (let round = 0; world.commits.length < updates.length && failure === undefined; round++) {
        expect(round, 'the run comes to its end').toBeLessThan(2_000);
        for (const message of world.bag.splice(0)) world.deliver(message);
        if (round === 50) for (const name of others()) world.leave(name);
        world.now += 1_000_000;
        world.dispatcher.tick();
        for (let turn = 0; turn < 4; turn++) await Promise.resolve();
      }
      await run;
      for (const [update, { microBatches, finite }] of updates.entries()) {
        const expected = finite || update % 2 === 0 ? sumOf(update, { from: 0, to: microBatches }) : NaN;
        expect(world.commits[update]).toEqual({ update, sum: expected, losses: Array.from({ length: microBatches }, (_, index) => index) });
      }
    }),
    { numRuns: 300 },
  );
});

import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { adoptFormerJobs, queueName } from './adoption.js';
import { bounded, reason, unavailable } from './bounded.js';
import { Consumer } from './consumer.js';
import { EmbeddedBackend } from './embedded-backend.js';
import { JobProcessor, type Processing } from './job-processor.js';
import { JobQueue } from './job-queue.js';
import { RedisBackend } from './redis-backend.js';
import { isRefusedByRedis } from './redis-trouble.js';
import type { StoreBackend } from './store-backend.js';

export interface QueueStoreOptions {
  readonly dataDir: string;
  /** a Redis server; without it the store is embedded, with its files in the data folder */
  readonly redisUrl?: string | undefined;
  /** see `RedisAddress` */
  readonly redisPasswordFile?: string | undefined;
  readonly redisCaFile?: string | undefined;
  /** tells the jobs of one data folder from those of others on the same Redis */
  readonly clusterId: string;
  /** of this coordinator; larger than that of any coordinator before */
  readonly epoch: bigint;
  readonly logger: Logger;
}

const NAMES = ['runs', 'evaluations'] as const;
const LOOK_EVERY_MS = 2_000;
/** a store that is away is tried again so soon, then ever more seldom */
const RETRY_MS = { first: 500, last: 10_000 };
const ADOPTION_TIMEOUT_MS = 60_000;
const REPAIR_AFTER = 3;

/**
 * Where runs and evaluations wait for their turn: BullMQ on Redis or on an embedded database. It only schedules; what there is
 * to do follows from the run folders (`JobQueue.reconcile`), so that losing the store costs nothing but the count of attempts.
 *
 * `up` means that jobs are demonstrably taken from it, not that it answers. Emits `up` when it is, at first or again.
 */
export class QueueStore extends EventEmitter<{ up: [] }> {
  readonly #backend: StoreBackend;
  readonly #epoch: bigint;
  readonly #logger: Logger;
  readonly #consumers: Consumer<never>[] = [];
  readonly #watching: Promise<void>;
  /** the store has been tried once */
  readonly #contacted: Promise<void>;
  readonly #closed = new AbortController();
  #state: 'up' | 'down' = 'down';
  #told: string | undefined;
  /** looks in a row that failed, and those among them that failed though the store could be reached */
  #failures = 0;
  #unusable = 0;
  /** when the first of those was */
  #unusableSince: number | undefined;
  /** calls that failed: what was looked at before proves nothing any more */
  #suspicions = 0;
  #wake: () => void = () => undefined;

  /**
   * A store that cannot be reached is no error: it is tried again and again, see `state`. An embedded one that cannot be read is
   * set aside and made anew.
   * @throws {Dd2Error} INVALID_ARGUMENT when the address of Redis is none, or its files cannot be used
   */
  static async open(options: QueueStoreOptions): Promise<QueueStore> {
    const store = new QueueStore(options);
    await store.#contacted;
    return store;
  }

  private constructor({ dataDir, redisUrl, redisPasswordFile, redisCaFile, clusterId, epoch, logger }: QueueStoreOptions) {
    super();
    this.#epoch = epoch;
    this.#logger = logger;
    const events = {
      changed: () => this.#wake(),
      trouble: (thrown: unknown) => logger.debug({ reason: reason(thrown) }, 'trouble with the queue store'),
    };
    this.#backend = redisUrl === undefined ? new EmbeddedBackend({ dataDir, epoch, logger, events }) : new RedisBackend({ address: { url: redisUrl, passwordFile: redisPasswordFile, caFile: redisCaFile }, clusterId, logger, events });
    let contacted = (): void => undefined;
    this.#contacted = new Promise((resolve) => (contacted = resolve));
    this.#watching = this.#watch(contacted);
  }

  get kind(): 'redis' | 'embedded' {
    return this.#backend.kind;
  }

  get state(): 'up' | 'down' {
    return this.#state;
  }

  /** Milliseconds for which the store could be reached and refused nothing, and yet no job was taken from it. */
  get stuckMs(): number {
    return this.#unusableSince === undefined ? 0 : performance.now() - this.#unusableSince;
  }

  /** The jobs of one kind, processed from now on. */
  queue<D>(name: (typeof NAMES)[number], processing: Processing<D>): JobQueue<D> {
    const consumer = new Consumer(queueName(name, this.#epoch), new JobProcessor(processing, this.#logger.child({ queue: name })), this.#backend);
    this.#consumers.push(consumer as unknown as Consumer<never>);
    if (this.#state === 'up') consumer.start();
    return new JobQueue(consumer, (what, call) => this.#call(what, call));
  }

  /** Stops taking jobs, waits up to `graceMs` for those that are being processed, and lets go of the store. */
  async close(graceMs = 10_000): Promise<void> {
    this.#closed.abort();
    this.#state = 'down';
    this.#told = 'it is closed';
    this.#wake();
    await Promise.all(this.#consumers.map((consumer) => consumer.close(graceMs)));
    await this.#watching;
    await this.#backend.close();
  }

  async #call<T>(what: string, call: () => Promise<T>): Promise<T> {
    if (this.#state === 'down') throw unavailable(what, this.#told ?? 'it has not been reached yet');
    try {
      return await bounded(what, call());
    } catch (thrown) {
      this.#suspicions++;
      this.#becomeDown(reason(thrown));
      this.#wake();
      throw thrown;
    }
  }

  async #watch(contacted: () => void): Promise<void> {
    while (!this.#closed.signal.aborted) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      const before = this.#suspicions;
      try {
        await this.#look();
        this.#failures = 0;
        if (this.#suspicions === before) this.#becomeUp();
      } catch (thrown) {
        this.#failures++;
        if (!this.#closed.signal.aborted) this.#becomeDown(reason(thrown));
      }
      contacted();
      const timer = new AbortController();
      const pause = this.#state === 'up' ? LOOK_EVERY_MS : Math.min(RETRY_MS.last, RETRY_MS.first * 2 ** (this.#failures - 1));
      await Promise.race([woken, delay(pause, undefined, { signal: timer.signal }).catch(() => undefined)]);
      timer.abort();
    }
  }

  /** @throws when the store cannot be reached, or when jobs are not taken from it */
  async #look(): Promise<void> {
    await this.#backend.connect().catch((thrown: unknown) => {
      this.#unusableSince = undefined; // it is away: that is another matter
      throw thrown;
    });
    if (this.#state === 'up') {
      for (const consumer of this.#consumers) await consumer.look();
      return;
    }
    try {
      await bounded('take over the jobs of former coordinators', adoptFormerJobs(NAMES, this.#epoch, (name) => this.#backend.queue(name)), ADOPTION_TIMEOUT_MS);
      for (const consumer of this.#consumers) await consumer.revive();
      this.#unusable = 0;
      this.#unusableSince = undefined;
    } catch (thrown) {
      if (isRefusedByRedis(thrown)) this.#unusableSince = undefined;
      else this.#unusableSince ??= performance.now();
      if (++this.#unusable % REPAIR_AFTER === 0) await this.#backend.repair();
      throw thrown;
    }
  }

  #becomeUp(): void {
    if (this.#state === 'up' || this.#closed.signal.aborted) return;
    this.#state = 'up';
    if (this.#told !== undefined) this.#logger.info({ store: this.kind }, 'the queue store is back');
    this.#told = undefined;
    this.emit('up');
  }

  #becomeDown(why: string): void {
    this.#state = 'down';
    if (this.#told !== why) this.#logger.warn({ store: this.kind, reason: why }, 'the queue store is down: what runs goes on, what is new waits');
    this.#told = why;
  }
}

import type { Engine } from '@dd2/engine';
import { isAlive } from '../engine-health.js';

/** Starting includes a probe of the device in a process of its own; a driver may take minutes for its first kernels. */
const START_LIMIT_MS = 10 * 60_000;
/** With nothing to compute an engine answers in milliseconds, on a machine that is overloaded in seconds. */
const IDLE_LIMIT_MS = 60_000;

export interface EngineLimits {
  /** milliseconds that the engine may compute one lease without answering anything else */
  readonly leaseMs: number;
  readonly startMs?: number;
  readonly idleMs?: number;
}

/**
 * Whether the engine's thread still does something. It is asked for a sign of life whenever somebody looks and none is
 * outstanding; since it answers in order, a sign that stays away means that it still does what it was asked before. Looking
 * never waits.
 */
export class EnginePulse {
  #engine: Pick<Engine, 'unloadProgram'> | undefined;
  /** when the oldest question was asked that has no answer yet */
  #askedAt: number | undefined;
  #dead = false;

  constructor(
    private readonly limits: EngineLimits,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** An engine, the first or another one, is being started. */
  starting(): void {
    this.#engine = undefined;
    this.#dead = false;
    this.#askedAt = this.now();
  }

  started(engine: Pick<Engine, 'unloadProgram'>): void {
    this.#engine = engine;
    this.#askedAt = undefined;
  }

  /** @param computes whether a lease is in hand @returns what is wrong, in words; undefined when nothing is */
  look(computes: boolean): string | undefined {
    if (this.#engine && !this.#dead && this.#askedAt === undefined) void this.#ask(this.#engine);
    if (this.#dead) return "the engine's thread has ended";
    if (this.#askedAt === undefined) return undefined;
    const { leaseMs, startMs = START_LIMIT_MS, idleMs = IDLE_LIMIT_MS } = this.limits;
    const silentMs = this.now() - this.#askedAt;
    if (silentMs <= (this.#engine ? (computes ? leaseMs : idleMs) : startMs)) return undefined;
    const seconds = Math.round(silentMs / 1_000);
    return this.#engine ? `the engine has not answered for ${seconds} s` : `the engine has been starting for ${seconds} s`;
  }

  /** Whether there is an engine that has not been seen to end. */
  get isThere(): boolean {
    return this.#engine !== undefined && !this.#dead;
  }

  async #ask(engine: Pick<Engine, 'unloadProgram'>): Promise<void> {
    const askedAt = (this.#askedAt = this.now());
    const alive = await isAlive(engine);
    if (this.#engine !== engine) return;
    this.#dead = !alive;
    if (this.#askedAt === askedAt) this.#askedAt = undefined;
  }
}

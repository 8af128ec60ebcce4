import type { Engine } from '@dd2/engine';
import { EnginePulse, type EngineLimits } from './engine-pulse.js';

/** What a probe is told. */
export interface Health {
  readonly ok: boolean;
  /** why not; empty when ok */
  readonly reasons: readonly string[];
}

/** What a session tells of itself as it goes. */
export interface SessionWatch {
  /** the coordinator has let this worker in */
  welcomed(): void;
  /** a lease is being computed, or none */
  computing(computes: boolean): void;
  /** the session is over; a lease may still be in hand */
  disconnected(): void;
}

/** Leases take seconds to minutes; the first one of a large program builds its sessions. One that takes longer hangs. */
export const LEASE_LIMIT_MS = 30 * 60_000;

/**
 * The state of a worker, for probes: ready is one that work can be leased to, live is one that a restart would not help. Being
 * without a coordinator is no reason for a restart: it is dialled again and again.
 */
export class WorkerHealth implements SessionWatch {
  readonly #engine: EnginePulse;
  #connected = false;
  #computes = false;

  constructor(
    private readonly leaving: AbortSignal,
    limits: EngineLimits = { leaseMs: LEASE_LIMIT_MS },
    now?: () => number,
  ) {
    this.#engine = new EnginePulse(limits, now);
  }

  engineStarting(): void {
    this.#engine.starting();
  }

  engineStarted(engine: Pick<Engine, 'unloadProgram'>): void {
    this.#engine.started(engine);
  }

  welcomed(): void {
    this.#connected = true;
  }

  computing(computes: boolean): void {
    this.#computes = computes;
  }

  disconnected(): void {
    this.#connected = false;
  }

  liveness(): Health {
    const wrong = this.#engine.look(this.#computes);
    return healthOf(wrong === undefined ? [] : [wrong]);
  }

  readiness(): Health {
    const wrong = this.#engine.look(this.#computes);
    return healthOf([
      ...(this.leaving.aborted ? ['the worker leaves'] : []),
      ...(this.#connected ? [] : ['no coordinator has let this worker in']),
      ...(wrong !== undefined ? [wrong] : this.#engine.isThere ? [] : ['the engine is being started']),
    ]);
  }
}

function healthOf(reasons: readonly string[]): Health {
  return { ok: reasons.length === 0, reasons };
}

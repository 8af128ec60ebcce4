import { faultKinds, faultTargets, type FaultKind, type FaultTarget } from './fault-plan.js';

/** A fault as it happened. */
export interface FaultRecord {
  /** since the loop began */
  readonly atSeconds: number;
  readonly target: FaultTarget;
  readonly kind: FaultKind;
  /** in words, with the name of the process */
  readonly what: string;
  /** from the fault to the next commit of any run; absent when no commit was due any more */
  recoverySeconds?: number;
}

/** Recovery times of the faults of one kind on one target. */
export interface RecoverySummary {
  readonly target: FaultTarget;
  readonly kind: FaultKind;
  readonly count: number;
  readonly median: number;
  readonly p95: number;
  readonly max: number;
}

/** Measures from each fault to the next commit, also where another fault strikes in between. */
export class RecoveryLog {
  readonly faults: FaultRecord[] = [];
  readonly #open = new Map<FaultRecord, number>();

  constructor(
    private readonly onRecovered: (fault: FaultRecord) => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  struck(fault: FaultRecord): void {
    this.faults.push(fault);
    this.#open.set(fault, this.now());
  }

  committed(): void {
    for (const [fault, since] of this.#open) {
      fault.recoverySeconds = (this.now() - since) / 1_000;
      this.#open.delete(fault);
      this.onRecovered(fault);
    }
  }

  /** Faults that no commit has followed yet. */
  get open(): FaultRecord[] {
    return [...this.#open.keys()];
  }

  summaries(): RecoverySummary[] {
    return faultTargets.flatMap((target) =>
      faultKinds.flatMap((kind) => {
        const faults = this.faults.filter((fault) => fault.target === target && fault.kind === kind);
        const seconds = faults.flatMap(({ recoverySeconds }) => recoverySeconds ?? []).sort((a, b) => a - b);
        return seconds.length === 0 ? [] : [{ target, kind, count: seconds.length, median: quantile(seconds, 0.5), p95: quantile(seconds, 0.95), max: quantile(seconds, 1) }];
      }),
    );
  }
}

/** The smallest value that at least the share `q` of the ascending values does not exceed (nearest rank). */
export function quantile(ascending: readonly number[], q: number): number {
  return ascending[Math.max(0, Math.ceil(q * ascending.length) - 1)] ?? NaN;
}

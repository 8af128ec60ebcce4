/** Updates, or generator updates, that a rate is averaged over. */
const WINDOW = 50;

/** What the rates of the next update follow from: plain JSON. */
export interface RatesState {
  phase: string;
  /** sums over all updates: wall time, and the samples */
  wallMs: number;
  samples: number;
  /** what they were after the newest updates of the phase, oldest first; before them, what they were when it began */
  wallMsAt: number[];
  samplesAt: number[];
  /** whether distill has begun */
  distilling: boolean;
  /** committed guidance updates since then */
  guidance: number;
  /** how many of them there were at the newest generator updates, oldest first; 0 for the beginning of distill */
  guidanceAt: number[];
}

export function newRates(): RatesState {
  return { phase: '', wallMs: 0, samples: 0, wallMsAt: [], samplesAt: [], distilling: false, guidance: 0, guidanceAt: [0] };
}

export function copyRates(state: RatesState): RatesState {
  return { ...state, wallMsAt: [...state.wallMsAt], samplesAt: [...state.samplesAt], guidanceAt: [...state.guidanceAt] };
}

interface RatedUpdate {
  readonly phase: string;
  readonly network: string;
  readonly committed: boolean;
  readonly wallMs: number;
  readonly samples: number;
}

/**
 * Samples and updates per second over the last 50 updates of the phase, this one included. The mean of the rates of single
 * updates would overstate it: short guidance updates would weigh as much as long generator updates.
 */
export function throughput(state: RatesState, update: RatedUpdate): { readonly samplesPerSecond: number; readonly updatesPerSecond: number } | undefined {
  if (update.phase !== state.phase) {
    state.phase = update.phase;
    state.wallMsAt = [state.wallMs];
    state.samplesAt = [state.samples];
  }
  state.wallMs += update.wallMs;
  state.samples += update.samples;
  remember(state.wallMsAt, state.wallMs);
  remember(state.samplesAt, state.samples);
  const seconds = (state.wallMs - (state.wallMsAt[0] ?? 0)) / 1_000;
  return seconds > 0 ? { samplesPerSecond: (state.samples - (state.samplesAt[0] ?? 0)) / seconds, updatesPerSecond: (state.wallMsAt.length - 1) / seconds } : undefined;
}

/**
 * The update frequency actually achieved, guidance updates per generator update. With g_k the k-th committed generator update of
 * distill, and c_k the committed guidance updates from the beginning of distill to g_k, those of a re-alignment included, it is
 * (c_k - c_(k-w)) / w at g_k, with w = min(k, 50) and c_0 = 0. It differs from the declared cycle when updates are skipped or
 * inserted. Other updates have no such point.
 */
export function guidanceFrequency(state: RatesState, { phase, network, committed }: RatedUpdate): number | undefined {
  state.distilling ||= phase === 'distill';
  if (!state.distilling || !committed) return undefined;
  if (network === 'guidance') state.guidance += 1;
  if (network !== 'generator' || phase !== 'distill') return undefined;
  remember(state.guidanceAt, state.guidance);
  return (state.guidance - (state.guidanceAt[0] ?? 0)) / (state.guidanceAt.length - 1);
}

/** Keeps the newest values: those of a window, and the one before it. */
function remember(values: number[], value: number): void {
  values.push(value);
  if (values.length > WINDOW + 1) values.shift();
}

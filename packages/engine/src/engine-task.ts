import type { HostTensor } from '@dd2/core';

/** What the engine's thread is started with. */
export interface EngineOptions {
  /** the ONNX Runtime execution provider */
  readonly provider: ProviderName;
  /** threads of one operator; results are bit-identical only between engines with the same number */
  readonly intraOpThreads: number;
  /** which device of a `cuda` machine (default 0) */
  readonly deviceId?: number;
}

export type ProviderName = 'cpu' | 'webgpu' | 'cuda';

/** Micro-batches of one update for one program. */
export interface EngineTask {
  /** id given to `loadProgram` */
  readonly program: string;
  /** run seed */
  readonly seed: number;
  readonly update: number;
  /**
   * Consecutive and ascending. With a gradient they are one subtree of the update's reduction tree: the first index is a
   * multiple of the smallest power of two that is not below their number.
   */
  readonly microBatches: readonly MicroBatch[];
  /** key of the parameter buffer for each network of the program */
  readonly parameters: Readonly<Record<string, string>>;
  /** key of the asset for names in the program; a name that is not listed is its own key */
  readonly assets?: Readonly<Record<string, string>>;
  /** global sample index of row 0 of micro-batch 0 (default 0); row r of micro-batch m is firstSample + m * batch + r */
  readonly firstSample?: number;
  /** write the gradient (raw float32) over the content of this file, made if absent, and leave it out of the result */
  readonly gradientFile?: string;
}

export interface MicroBatch {
  readonly index: number;
  /** the values that the program's inputs of kind `given` name */
  readonly given?: Readonly<Record<string, HostTensor>>;
}

export interface EngineResult {
  /** sum over the micro-batches in the fixed tree, flat, in a buffer of its own; present if the program has a gradient and the task no file for it */
  readonly gradient?: Float32Array<ArrayBuffer>;
  /** one record per micro-batch, in their order */
  readonly metrics: Record<string, number>[];
  /** one record per micro-batch, in their order */
  readonly results: Record<string, HostTensor>[];
  /** wall time in the thread: draws, gathers, graphs and sums */
  readonly computeMs: number;
  /** no element of the gradient is NaN or infinite (true without a gradient) */
  readonly finite: boolean;
}

/**
 * A program is what a worker executes: ONNX graphs with a declared signature. It says where every input comes from
 * (random draws, assets, parameters), so that a worker can run it without knowing what it means.
 */

export type DType = 'float32' | 'float64' | 'int32' | 'int64' | 'uint8' | 'bool';

export type TypedArrayOf = {
  float32: Float32Array;
  float64: Float64Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  bool: Uint8Array;
};

/** What holds the elements of each type. */
export const typedArrays: { readonly [T in DType]: new (length: number) => TypedArrayOf[T] } = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

/** A dense row-major tensor in host memory. `data.length` is the product of `shape`. */
export interface HostTensor<T extends DType = DType> {
  readonly dtype: T;
  readonly shape: readonly number[];
  readonly data: TypedArrayOf[T];
}

/** One tensor inside a network's flat parameter vector; `offset` and `size` count float32 elements. */
export interface TensorSlot {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly size: number;
}

/** The declared order of a network's parameters in one flat float32 vector of `size` elements. */
export interface ParameterLayout {
  readonly network: string;
  readonly size: number;
  readonly tensors: readonly TensorSlot[];
}

/**
 * Where the value of a program input comes from. `by` names another (int64, one value per row) input of the program
 * whose value replaces the sample index in the random counter, so that a row can be drawn again later from its index.
 * Every drawn value of sample i depends on nothing but (run seed, update, i, stream); with `by`, on (run seed, 0, by[i], stream).
 */
export type InputSource =
  /** standard normal draws, float32 [batch, ...] */
  | { readonly kind: 'normal'; readonly stream: string; readonly by?: string }
  /** uniform draws in the open interval (0, 1), float32 [batch, ...] */
  | { readonly kind: 'uniform'; readonly stream: string; readonly by?: string }
  /** uniform integers in [0, below), int64 [batch, ...] */
  | { readonly kind: 'integer'; readonly stream: string; readonly below: number; readonly by?: string }
  /** the sample index (modulo `modulo`), int64 [batch] */
  | { readonly kind: 'index'; readonly modulo?: number }
  /** rows of an asset tensor selected by the int64 input `by`: [batch, ...row shape] */
  | { readonly kind: 'rows'; readonly asset: string; readonly by: string }
  /** a whole asset tensor */
  | { readonly kind: 'asset'; readonly asset: string }
  /** what the lease gives its micro-batch under a name: a result of a program that ran before, [batch, ...] */
  | { readonly kind: 'given'; readonly value: string }
  /** zeros: the initial value of state that stages overwrite (a key/value cache) */
  | { readonly kind: 'zeros' }
  /** the counter of the repeated stage that runs, int64 scalar [] */
  | { readonly kind: 'step' };

export interface ProgramInput {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly source: InputSource;
}

/**
 * One graph execution. `feeds` maps each graph input to the name of a value; `fetches` maps graph outputs to the value
 * that they (over)write. A value is a program input, a parameter tensor (`<network>/<tensor>`), or what an earlier stage wrote.
 * With `repeat` the stage runs for step = from, ..., to - 1 and sees its own writes of the step before.
 */
export interface ProgramStage {
  readonly graph: number;
  readonly feeds: Readonly<Record<string, string>>;
  readonly fetches: Readonly<Record<string, string>>;
  readonly repeat?: { readonly from: number; readonly to: number };
}

export interface ProgramSignature {
  /** for people: `distill.generator`, `evaluate.one-step`, ... */
  readonly name: string;
  /** samples per micro-batch; every drawn input has it as its first dimension */
  readonly batch: number;
  /** the networks whose parameters are fed; feeds name their tensors `<network>/<tensor>` */
  readonly parameters: readonly ParameterLayout[];
  readonly inputs: readonly ProgramInput[];
  readonly stages: readonly ProgramStage[];
  /** the gradient (mean over the micro-batch) of one network: values to be copied to their slot of the flat vector */
  readonly gradient?: {
    readonly network: string;
    readonly size: number;
    readonly tensors: readonly { readonly value: string; readonly offset: number; readonly size: number }[];
  };
  /** float32 scalars (means over the micro-batch) */
  readonly metrics: readonly { readonly name: string; readonly value: string }[];
  /** small tensors that are returned whole */
  readonly results: readonly { readonly name: string; readonly value: string; readonly dtype: DType; readonly shape: readonly number[] }[];
}

export interface Program {
  readonly signature: ProgramSignature;
  /** ONNX ModelProto bytes, indexed by `ProgramStage.graph` */
  readonly graphs: readonly Uint8Array[];
}

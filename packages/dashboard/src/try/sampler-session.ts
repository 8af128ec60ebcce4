import { env, InferenceSession, Tensor } from 'onnxruntime-web/wasm';
import wasmUrl from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import { ApiError } from '../api/client.js';
import { download, type DownloadProgress } from './download.js';
import { readMetadata } from './model-metadata.js';
import { fillNormal, fillUniform } from './noise.js';

/** How a model's input is drawn, by its name. */
const fillers: Readonly<Record<string, (values: Float32Array) => void>> = { noise: fillNormal, gumbel: fillUniform };

let runtime: Promise<void> | undefined;

/** Loads the runtime, once. @throws {ApiError} */
export async function loadRuntime(onProgress: (progress: DownloadProgress) => void): Promise<void> {
  runtime ??= (async () => {
    const response = await fetch(wasmUrl).catch((cause: unknown) => {
      throw new ApiError({ code: 'UNAVAILABLE', message: 'the runtime cannot be loaded', remedy: 'See whether the coordinator runs, then try again', retryable: true }, cause);
    });
    if (!response.ok) throw new ApiError({ code: 'PROTOCOL', message: `the runtime cannot be loaded: status ${response.status}`, remedy: 'Build the page again', status: response.status });
    env.wasm.numThreads = 1; // a model of this size gains nothing from more
    env.wasm.wasmBinary = (await download(response, onProgress)).buffer;
  })();
  try {
    await runtime;
  } catch (error) {
    runtime = undefined; // it may go better the next time
    throw error;
  }
}

export interface Sampled {
  /** grey values [images, 28, 28] */
  readonly pixels: Uint8Array;
  /** of the call of the model alone */
  readonly milliseconds: number;
}

/** An exported sampler in the browser: class and draws in, images out. */
export class SamplerSession {
  private constructor(
    private readonly session: InferenceSession,
    readonly metadata: ReadonlyMap<string, string>,
    private readonly input: string,
    /** shape of one image's draws */
    private readonly row: readonly number[],
  ) {}

  /** @throws {ApiError} PROTOCOL for a file that is no exported sampler */
  static async open(model: Uint8Array): Promise<SamplerSession> {
    try {
      const metadata = readMetadata(model);
      const session = await InferenceSession.create(model, { executionProviders: ['wasm'], graphOptimizationLevel: 'all' });
      const drawn = session.inputMetadata.find(({ name }) => name in fillers);
      const row = drawn?.isTensor ? drawn.shape.slice(1).map(Number) : [];
      if (!drawn || row.length === 0 || row.some(Number.isNaN)) throw new RangeError('it has no input that can be drawn');
      return new SamplerSession(session, metadata, drawn.name, row);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ApiError({ code: 'PROTOCOL', message: `the exported model cannot be used: ${reason}`, remedy: 'Reload the page; coordinator and page may be of different versions' }, cause);
    }
  }

  /** Fresh draws for so many images. */
  draw(images: number): Float32Array {
    const draws = new Float32Array(images * this.#drawsOfOne);
    fillers[this.input]?.(draws);
    return draws;
  }

  /** Images of one class from the first of the draws. */
  async sample(label: number, images: number, draws: Float32Array): Promise<Sampled> {
    const feeds = {
      class: new Tensor('int64', new BigInt64Array(images).fill(BigInt(label)), [images]),
      [this.input]: new Tensor('float32', draws.subarray(0, images * this.#drawsOfOne), [images, ...this.row]),
    };
    const started = performance.now();
    const { images: result } = await this.session.run(feeds, ['images']);
    const milliseconds = performance.now() - started;
    return { pixels: result?.data as Uint8Array, milliseconds };
  }

  async close(): Promise<void> {
    await this.session.release();
  }

  get #drawsOfOne(): number {
    return this.row.reduce((product, size) => product * size, 1);
  }
}

import { flatten, loadMnist, openBundle, readReference, readTokens, type Bundle, type BundleFile, type BundleManifest } from '@dd2/assets';
import { meanAndCovariance, Dd2Error, type HostTensor, type ParameterLayout, type RunSpec } from '@dd2/core';
import { classifierNetwork, layoutOf, teacherNetwork, tokenizerNetwork, type ModelConfig } from '@dd2/models';

/** An asset bundle as a run uses it: frozen networks as flat vectors, data set tensors, the reference of the FID. */
export class ModelBundle {
  readonly #derived = new Map<string, HostTensor>();

  private constructor(
    readonly manifest: BundleManifest,
    /** flat parameters, see the layouts of @dd2/models */
    readonly teacher: Float32Array,
    readonly tokenizer: Float32Array,
    readonly classifier: Float32Array,
    readonly reference: { readonly mean: Float64Array; readonly covariance: Float64Array },
    readonly assets: Readonly<Record<'train.tokens' | 'train.labels' | 'test.tokens' | 'test.labels' | 'test.images', HostTensor>>,
  ) {}

  /** @throws {Dd2Error} ASSET_MISSING or ASSET_CORRUPT naming the file and the remedy */
  static async open(folder: string): Promise<ModelBundle> {
    const bundle = await openBundle(folder);
    const model = modelConfig(bundle.manifest, { headWidth: 1, headBlocks: 1 });
    const [tokens, mnist] = [await readTokens(bundle), loadMnist()];
    return new ModelBundle(
      bundle.manifest,
      await readNetwork(bundle, 'teacher.safetensors', layoutOf(teacherNetwork(model))),
      await readNetwork(bundle, 'tokenizer.safetensors', layoutOf(tokenizerNetwork(model))),
      await readNetwork(bundle, 'classifier.safetensors', layoutOf(classifierNetwork(model))),
      meanAndCovariance(await readReference(bundle)),
      {
        'train.tokens': tokens.train,
        'train.labels': mnist.train.labels,
        'test.tokens': tokens.test,
        'test.labels': mnist.test.labels,
        'test.images': mnist.test.images,
      },
    );
  }

  get testImages(): number {
    return this.assets['test.images'].shape[0] ?? 0;
  }

  /** SHA-256 of one of the bundle's files, from its manifest. */
  sha256(file: BundleFile): string {
    return this.manifest.files[file].sha256;
  }

  /** @throws {Dd2Error} ASSET_MISSING when the bundle has no tensor of that name */
  asset(name: string): HostTensor {
    if (name === 'naive.marginals') return this.#naiveMarginals();
    const tensor = (this.assets as Readonly<Record<string, HostTensor>>)[name];
    if (!tensor) throw new Dd2Error('ASSET_MISSING', 'the bundle has no such tensor', { field: name, remedy: 'Prepare the assets again with `npx dd2 prepare`' });
    return tensor;
  }

  /** How often each class occurs among the first `samples` test images. */
  testClassCounts(samples: number): number[] {
    const counts = new Array<number>(this.manifest.model.classes).fill(0);
    for (const label of this.assets['test.labels'].data.slice(0, samples)) counts[Number(label)] = (counts[Number(label)] ?? 0) + 1;
    return counts;
  }

  /** Counts of each code per class and position over the training tokens, float32 [classes, n, V]: the naive one-step sampler. */
  #naiveMarginals(): HostTensor {
    const known = this.#derived.get('naive.marginals');
    if (known) return known;
    const { classes, tokens: n, vocabulary } = this.manifest.model;
    const counts = new Float32Array(classes * n * vocabulary);
    const tokens = this.assets['train.tokens'].data;
    this.assets['train.labels'].data.forEach((label: number | bigint, row: number) => {
      for (let position = 0; position < n; position++) {
        const index = (Number(label) * n + position) * vocabulary + Number(tokens[row * n + position]);
        counts[index] = (counts[index] ?? 0) + 1;
      }
    });
    const tensor: HostTensor = { dtype: 'float32', shape: [classes, n, vocabulary], data: counts };
    this.#derived.set('naive.marginals', tensor);
    return tensor;
  }
}

/** The sizes of a run's networks: the backbone's come from the teacher, the head's from the spec. */
export function modelConfig(manifest: BundleManifest, head: RunSpec['model']): ModelConfig {
  const { tokens, dimension, vocabulary, classes, width, layers, heads, grid } = manifest.model;
  return { tokens, dimension, vocabulary, classes, width, layers, heads, grid, ...head };
}

/** One network of a bundle as a flat vector. @throws {Dd2Error} ASSET_MISSING, ASSET_CORRUPT */
export async function readNetwork(bundle: Bundle, file: BundleFile, layout: ParameterLayout): Promise<Float32Array> {
  try {
    return flatten(layout, await bundle.read(file));
  } catch (cause) {
    const error = Dd2Error.from(cause);
    if (error.code !== 'INVALID_ARGUMENT') throw error;
    throw new Dd2Error('ASSET_CORRUPT', `${file} does not fit the model of its manifest: ${error.message}`, { field: error.field, remedy: 'Prepare the assets again with `npx dd2 prepare`', cause });
  }
}

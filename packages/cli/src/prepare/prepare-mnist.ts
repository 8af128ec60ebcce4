import { frechetDistance, meanAndCovariance, type Gaussian } from '@dd2/core';
import { loadMnist, referenceTensors, tokenTensors, unflatten, writeBundle, type BundleManifest } from '@dd2/assets';
import { Engine } from '@dd2/engine';
import {
  classifierEvaluateProgram,
  classifierNetwork,
  evaluationProgram,
  layoutOf,
  teacherNetwork,
  tokenizerNetwork,
  type ModelConfig,
  type NetworkDefinition,
  type Sampler,
} from '@dd2/models';
import { trainClassifier } from './classifier.js';
import { publish } from './local-trainer.js';
import { measure, type Measurement } from './measure.js';
import type { Report } from './progress.js';
import { teacherCrossEntropy, trainTeacher } from './teacher.js';
import { trainTokenizer } from './tokenizer.js';
import { installedVersions } from '../versions.js';

/** 28x28 digits as 4x4 tokens; the two head sizes belong to the distillation and are not used here. */
const model = {
  tokens: 16,
  dimension: 6,
  vocabulary: 128,
  classes: 10,
  width: 96,
  layers: 3,
  heads: 4,
  headWidth: 96,
  headBlocks: 2,
  grid: 4,
} as const satisfies ModelConfig;

const imageSize = 28;
const batch = 500;
const fidSamples = 5_000;
const noiseSeed = 5;

export interface PrepareOptions {
  /** folder of the bundle; replaced when it holds one */
  readonly out: string;
  readonly seed: number;
  /** threads of one graph execution: the bits of the result depend on it */
  readonly threads: number;
  /** lengths of the trainings, for a trial run */
  readonly length?: { readonly classifierEpochs: number; readonly tokenizerEpochs: number; readonly teacherSteps: number };
}

/**
 * Trains everything that a distillation on MNIST starts from - feature network, tokenizer, teacher - measures it, and writes
 * the asset bundle. The same seed and threads give the same bytes, apart from the manifest's date.
 */
export async function prepareMnist(options: PrepareOptions, report: Report): Promise<BundleManifest> {
  const { seed, threads } = options;
  const { classifierEpochs, tokenizerEpochs, teacherSteps } = options.length ?? { classifierEpochs: 3, tokenizerEpochs: 3, teacherSteps: 2_000 };
  const mnist = loadMnist();
  const rows = { train: mnist.train.labels.data.length, test: mnist.test.labels.data.length };
  const engine = await Engine.start({ provider: 'cpu', intraOpThreads: threads });
  try {
    for (const split of ['train', 'test'] as const) {
      engine.setAsset(`${split}.images`, mnist[split].images);
      engine.setAsset(`${split}.labels`, mnist[split].labels);
    }
    const classifier = await trainClassifier(engine, { classes: model.classes, rows: rows.train, epochs: classifierEpochs, seed }, report);
    publish(engine, 'classifier', classifier);
    const reference = await measure(engine, classifierEvaluateProgram(model, { batch, split: 'test' }), rows.test, 0);
    const testImages = meanAndCovariance(reference.statistics);
    report(`classifier  test accuracy ${percent(reference.accuracy)}`);

    const tokenizer = await trainTokenizer(engine, { model, rows, epochs: tokenizerEpochs, seed }, report);
    publish(engine, 'tokenizer', tokenizer.parameters);
    engine.setAsset('train.tokens', tokenizer.tokens.train);
    engine.setAsset('test.tokens', tokenizer.tokens.test);
    const score = async (sampler: Sampler, samples: number): Promise<Score> =>
      scoreOf(await measure(engine, evaluationProgram(model, sampler, { batch }), samples, noiseSeed), testImages);
    const reconstruction = await score({ kind: 'reconstruction' }, rows.test);
    report(`tokenizer   perplexity ${tokenizer.perplexity.toFixed(1)}, reconstruction FID ${reconstruction.fid.toFixed(2)}, accuracy ${percent(reconstruction.accuracy)}`);

    const teacher = await trainTeacher(engine, { model, rows: rows.train, steps: teacherSteps, seed }, report);
    publish(engine, 'teacher', teacher);
    const crossEntropy = await teacherCrossEntropy(engine, model, rows.test);
    const sampled = await score({ kind: 'teacher' }, fidSamples);
    report(`teacher     test cross-entropy ${crossEntropy.toFixed(3)}, FID ${sampled.fid.toFixed(2)} (${fidSamples}), accuracy ${percent(sampled.accuracy)}`);

    const { headWidth: _headWidth, headBlocks: _headBlocks, ...sizes } = model;
    const tensors = (definition: NetworkDefinition, flat: Float32Array) => unflatten(layoutOf(definition), flat);
    return await writeBundle(options.out, {
      manifest: {
        name: 'mnist',
        dataset: 'mnist',
        command: `dd2 prepare mnist --seed ${seed} --threads ${threads}`,
        seed,
        versions: installedVersions(),
        createdAt: new Date().toISOString(),
        metrics: {
          'classifier.accuracy': reference.accuracy,
          'tokenizer.perplexity': tokenizer.perplexity,
          'reconstruction.fid': reconstruction.fid,
          'reconstruction.accuracy': reconstruction.accuracy,
          'teacher.crossEntropy': crossEntropy,
          'teacher.fid': sampled.fid,
          'teacher.accuracy': sampled.accuracy,
          fidSamples,
        },
        model: { ...sizes, imageSize },
      },
      files: {
        'classifier.safetensors': tensors(classifierNetwork(model), classifier),
        'tokenizer.safetensors': tensors(tokenizerNetwork(model), tokenizer.parameters),
        'teacher.safetensors': tensors(teacherNetwork(model), teacher),
        'reference.safetensors': referenceTensors(reference.statistics),
        'tokens.safetensors': tokenTensors(tokenizer.tokens, model.vocabulary),
      },
    });
  } finally {
    await engine.close();
  }
}

interface Score {
  readonly fid: number;
  readonly accuracy: number;
}

function scoreOf({ statistics, accuracy }: Measurement, reference: Gaussian): Score {
  return { fid: frechetDistance(meanAndCovariance(statistics), reference), accuracy };
}

const percent = (fraction: number): string => `${(100 * fraction).toFixed(2)} %`;

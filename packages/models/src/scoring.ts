import { argMax, cast, equal, matmul, reduceSum, transpose, type Tensor } from '@dd2/autodiff';
import { classifierNetwork, classLogits, features } from './classifier.js';
import type { ProgramBuilder, Stage } from './program-builder.js';

/**
 * Adds what a Frechet distance and an accuracy need of pixels [B, 1, 28, 28]: results `features.sum` float64 [64],
 * `features.outer` float64 [64, 64] (uncentred), `correct` int64 [] (of which the classifier names the class) and `count` int64 [].
 */
export function scorePixels(program: ProgramBuilder, stage: Stage, model: { readonly classes: number }, pixels: Tensor, classes: Tensor): void {
  const classifier = stage.parameters(classifierNetwork(model));
  const single = features(classifier, pixels);
  const x = cast(single, 'float64');
  const hits = equal(argMax(classLogits(classifier, single), -1), classes);
  program.result('features.sum', stage.fetch('features.sum', reduceSum(x, [0])));
  program.result('features.outer', stage.fetch('features.outer', matmul(transpose(x, [1, 0]), x)));
  program.result('correct', stage.fetch('correct', cast(reduceSum(cast(hits, 'float64'), [0]), 'int64')));
  program.result('count', stage.fetch('count', stage.graph.scalar(program.batch, 'int64')));
}

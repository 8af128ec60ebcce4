import { crossEntropy, reduceMean } from '@dd2/autodiff';
import type { Program } from '@dd2/core';
import { classifierNetwork, classLogits, dropFeatures, features, featureSize } from './classifier.js';
import { imageSize } from './model-config.js';
import { ProgramBuilder } from './program-builder.js';
import { scorePixels } from './scoring.js';
import { pixelsFrom } from './tokenizer.js';

/** The gradient of the classifier's cross-entropy on `rows` training images, with dropout of its features. */
export function classifierTrainProgram(model: { readonly classes: number }, options: { batch: number; rows: number }): Program {
  const program = new ProgramBuilder('prepare.classifier', options.batch);
  const row = program.integer('row', options.rows);
  const images = program.rows('images', 'train.images', 'uint8', [imageSize, imageSize], row);
  const labels = program.rows('class', 'train.labels', 'int64', [], row);
  const dropout = program.uniform('dropout', [featureSize]);
  program.stage('classification', (stage) => {
    const classifier = stage.parameters(classifierNetwork(model));
    const kept = dropFeatures(features(classifier, pixelsFrom(stage.value(images))), stage.value(dropout));
    const loss = reduceMean(crossEntropy(classLogits(classifier, kept), stage.value(labels)));
    stage.gradient(loss, classifier);
    program.metric('loss', stage.fetch('loss', loss));
  });
  return program.build();
}

/** Feature statistics and hits (see `scorePixels`) of real images; row = sample index. */
export function classifierEvaluateProgram(model: { readonly classes: number }, options: { batch: number; split: 'train' | 'test' }): Program {
  const program = new ProgramBuilder(`evaluate.${options.split}-images`, options.batch);
  const row = program.index('row');
  const images = program.rows('images', `${options.split}.images`, 'uint8', [imageSize, imageSize], row);
  const labels = program.rows('class', `${options.split}.labels`, 'int64', [], row);
  program.stage('score', (stage) => scorePixels(program, stage, model, pixelsFrom(stage.value(images)), stage.value(labels)));
  return program.build();
}

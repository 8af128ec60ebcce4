import { crossEntropy, reduceMean } from '@dd2/autodiff';
import type { Program } from '@dd2/core';
import { Codebook } from './codebook.js';
import type { ModelConfig } from './model-config.js';
import { ProgramBuilder, type Stage, type Value } from './program-builder.js';
import { teacherLogits, teacherNetwork } from './teacher.js';
import { tokenizerNetwork } from './tokenizer.js';

/** The gradient of the teacher's cross-entropy on `rows` token sequences of the training set. */
export function teacherTrainProgram(model: ModelConfig, options: { batch: number; rows: number }): Program {
  const program = new ProgramBuilder('prepare.teacher', options.batch);
  const row = program.integer('row', options.rows);
  const tokens = program.rows('tokens', 'train.tokens', 'int64', [model.tokens], row);
  const labels = program.rows('class', 'train.labels', 'int64', [], row);
  program.stage('next-token', (stage) => {
    const loss = nextTokenLoss(stage, model, tokens, labels);
    stage.gradient(loss, stage.parameters(teacherNetwork(model)));
    program.metric('loss', stage.fetch('loss', loss));
  });
  return program.build();
}

/** Metric `loss`: the teacher's cross-entropy, in nats a token, on test images; row = sample index. */
export function teacherEvaluateProgram(model: ModelConfig, options: { batch: number }): Program {
  const program = new ProgramBuilder('evaluate.teacher-loss', options.batch);
  const row = program.index('row');
  const tokens = program.rows('tokens', 'test.tokens', 'int64', [model.tokens], row);
  const labels = program.rows('class', 'test.labels', 'int64', [], row);
  program.stage('next-token', (stage) => program.metric('loss', stage.fetch('loss', nextTokenLoss(stage, model, tokens, labels))));
  return program.build();
}

function nextTokenLoss(stage: Stage, model: ModelConfig, tokens: Value, labels: Value) {
  const teacher = stage.parameters(teacherNetwork(model));
  const codebook = Codebook.normalised(stage.parameters(tokenizerNetwork(model)));
  const sequence = stage.value(tokens);
  return reduceMean(crossEntropy(teacherLogits(teacher, model, stage.value(labels), codebook.lookUp(sequence)), sequence));
}

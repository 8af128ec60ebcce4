import type { Program, TimeRange } from '@dd2/core';
import { arDiffusionNetwork } from './ar-diffusion.js';
import { Codebook } from './codebook.js';
import { groundTruthScoreLoss, noisySequences, teacherPosteriorMean, type NoisySequences } from './ground-truth-score.js';
import type { ModelConfig } from './model-config.js';
import { timesFrom } from './noise-path.js';
import { ProgramBuilder, type Stage } from './program-builder.js';
import { teacherNetwork, type TeacherPlacement } from './teacher.js';
import { tokenizerNetwork } from './tokenizer.js';

interface TuneOptions {
  readonly batch: number;
  readonly draws: number;
  readonly time: TimeRange;
  /** token sequences of the training set */
  readonly rows: number;
}

/** Phase tune: the gradient of the ground-truth-score loss for the generator's network, on token sequences of the training set. */
export function tuneProgram(model: ModelConfig, options: TuneOptions & { readonly teacher?: TeacherPlacement }): Program {
  const program = new ProgramBuilder('tune.generator', options.batch);
  const data = addNoisyData(program, model, options);
  const given = options.teacher === 'given' ? program.given('posterior-mean', 'float32', [options.draws, model.tokens, model.dimension]) : undefined;

  program.stage('ground-truth-score', (stage) => {
    const student = stage.parameters(arDiffusionNetwork(model, 'generator'));
    const codebook = Codebook.normalised(stage.parameters(tokenizerNetwork(model)));
    const noisy = data(stage, codebook);
    const fromTeacher = given ? stage.value(given) : teacherPosteriorMean(stage.parameters(teacherNetwork(model)), codebook, model, noisy);
    const loss = groundTruthScoreLoss(student, model, noisy, fromTeacher);
    stage.gradient(loss, student);
    program.metric('loss', stage.fetch('loss', loss));
  });
  return program.build();
}

/**
 * The teacher's part of an update of tune, for a teacher pool: on the same draws, the result `posterior-mean` float32 [B, K, n, d].
 * Nothing is differentiated through it.
 */
export function tuneTeacherProgram(model: ModelConfig, options: TuneOptions): Program {
  const program = new ProgramBuilder('tune.teacher', options.batch);
  const data = addNoisyData(program, model, options);
  program.stage('teacher-score', (stage) => {
    const codebook = Codebook.normalised(stage.parameters(tokenizerNetwork(model)));
    const mean = teacherPosteriorMean(stage.parameters(teacherNetwork(model)), codebook, model, data(stage, codebook));
    program.result('posterior-mean', stage.fetch('posterior-mean', mean));
  });
  return program.build();
}

/** Adds the draws of rows of the training set and of their noise; returns what makes tensors of them in a stage. */
function addNoisyData(program: ProgramBuilder, { tokens, dimension }: ModelConfig, { draws, rows, time: range }: TuneOptions): (stage: Stage, codebook: Codebook) => NoisySequences {
  const row = program.integer('row', rows);
  const sequence = program.rows('tokens', 'train.tokens', 'int64', [tokens], row);
  const label = program.rows('class', 'train.labels', 'int64', [], row);
  const time = program.uniform('time', [draws, tokens, 1]);
  const diffusion = program.normal('diffusion', [draws, tokens, dimension]);
  return (stage, codebook) => {
    const data = { classes: stage.value(label), tokens: stage.value(sequence) };
    return noisySequences(codebook, data, { times: timesFrom(stage.value(time), range), noise: stage.value(diffusion) });
  };
}

import type { Tensor } from '@dd2/autodiff';
import type { Program, TimeRange } from '@dd2/core';
import { arDiffusionNetwork, generate } from './ar-diffusion.js';
import { Codebook } from './codebook.js';
import { conditionalScoreDistillationLoss, contextOf, type Contexts, type DistillationObjective } from './conditional-score-distillation.js';
import type { ModelConfig } from './model-config.js';
import { timesFrom } from './noise-path.js';
import { ProgramBuilder, type Stage, type Value } from './program-builder.js';
import { teacherLogits, teacherNetwork, type TeacherPlacement } from './teacher.js';
import { tokenizerNetwork } from './tokenizer.js';

/**
 * Generator update of distill: the gradient of the conditional-score-distillation loss, teacher and guidance network frozen.
 * With the teacher `given`, the contexts and the logits there are results of `contextsProgram` and `contextLogitsProgram`.
 */
export function generatorProgram(
  model: ModelConfig,
  options: { batch: number; draws: number; time: TimeRange; teacher?: TeacherPlacement } & DistillationObjective,
): Program {
  const { tokens, dimension, vocabulary } = model;
  const { draws } = options;
  const program = new ProgramBuilder('distill.generator', options.batch);
  const sample = addSample(program, model);
  const time = program.uniform('time', [draws, tokens, 1]);
  const diffusion = program.normal('diffusion', [draws, tokens, dimension]);
  const given = options.teacher === 'given' ? { context: addContext(program, model, options.contexts), logits: program.given('logits', 'float32', [tokens, vocabulary]) } : undefined;

  program.stage('conditional-score-distillation', (stage) => {
    const generator = stage.parameters(arDiffusionNetwork(model, 'generator'));
    const guidance = stage.parameters(arDiffusionNetwork(model, 'guidance'));
    const codebook = Codebook.normalised(stage.parameters(tokenizerNetwork(model)));
    const { classes, x } = sample(stage);
    const context = given ? vectorsOf(stage, given.context, codebook) : contextOf(x, codebook, options.contexts);
    const logits = given ? stage.value(given.logits) : teacherLogits(stage.parameters(teacherNetwork(model)), model, classes, context);
    const noising = { times: timesFrom(stage.value(time), options.time), noise: stage.value(diffusion) };
    const { loss, gap } = conditionalScoreDistillationLoss({ guidance, codebook }, model, { classes, x, context, logits }, noising, options);
    stage.gradient(loss, generator);
    program.metric('loss', stage.fetch('loss', loss));
    program.metric('gap', stage.fetch('gap', gap));
  });
  return program.build();
}

/**
 * The contexts of a generator update, for a teacher pool: on the same draws, the result `context`: the tokens int64 [B, n] of the
 * nearest codes, or the generator's vectors float32 [B, n, d]. Whoever evaluates the teacher, it sees the generator's tokens as its own
 * workers snap them.
 */
export function contextsProgram(model: ModelConfig, options: { batch: number; contexts: Contexts }): Program {
  const program = new ProgramBuilder('distill.contexts', options.batch);
  const sample = addSample(program, model);
  program.stage('contexts', (stage) => {
    const { x } = sample(stage);
    const context = options.contexts === 'snapped' ? Codebook.normalised(stage.parameters(tokenizerNetwork(model))).nearest(x) : x;
    program.result('context', stage.fetch('context', context));
  });
  return program.build();
}

/** The teacher's part of a generator update, for a teacher pool: at the `context` given, the result `logits` float32 [B, n, V]. */
export function contextLogitsProgram(model: ModelConfig, options: { batch: number; contexts: Contexts }): Program {
  const program = new ProgramBuilder('distill.teacher', options.batch);
  const label = program.integer('class', model.classes);
  const given = addContext(program, model, options.contexts);
  program.stage('teacher-logits', (stage) => {
    const teacher = stage.parameters(teacherNetwork(model));
    const codebook = Codebook.normalised(stage.parameters(tokenizerNetwork(model)));
    const logits = teacherLogits(teacher, model, stage.value(label), vectorsOf(stage, given, codebook));
    program.result('logits', stage.fetch('logits', logits));
  });
  return program.build();
}

/** Adds the draws of classes and noise; returns what generates from them in a stage. */
function addSample(program: ProgramBuilder, model: ModelConfig): (stage: Stage) => { readonly classes: Tensor; readonly x: Tensor } {
  const label = program.integer('class', model.classes);
  const noise = program.normal('noise', [model.tokens, model.dimension]);
  return (stage) => {
    const classes = stage.value(label);
    return { classes, x: generate(stage.parameters(arDiffusionNetwork(model, 'generator')), model, classes, stage.value(noise)) };
  };
}

function addContext(program: ProgramBuilder, { tokens, dimension }: ModelConfig, contexts: Contexts): Value {
  return contexts === 'snapped' ? program.given('context', 'int64', [tokens]) : program.given('context', 'float32', [tokens, dimension]);
}

/** Vectors [B, n, d] of a context that is given as tokens or as vectors. */
function vectorsOf(stage: Stage, context: Value, codebook: Codebook): Tensor {
  const tensor = stage.value(context);
  return tensor.dtype === 'int64' ? codebook.lookUp(tensor) : tensor;
}

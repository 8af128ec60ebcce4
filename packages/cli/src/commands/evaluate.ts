import type { Command } from 'commander';
import { evaluateRun } from '../evaluate-run.js';
import { clientCommand, type ServerOptions } from '../connection.js';
import { collect, wholeNumber } from '../options.js';
import { plainEvaluation, renderEvaluations } from '../render/evaluation-table.js';
import { LiveOutput } from '../render/live-output.js';
import { withRunClient } from '../run-client.js';

interface EvaluateCommandOptions extends ServerOptions {
  readonly sampler?: readonly string[];
  readonly samples?: number;
  readonly update?: number;
  readonly noiseSeed?: number;
  readonly json: boolean;
}

/** `dd2 evaluate` */
export function evaluateCommand(): Command {
  return clientCommand('evaluate')
    .description('measure a checkpoint of a run: FID and class accuracy')
    .argument('<run>', 'run id')
    .option('--sampler <name>', 'one-step (the default), multi-step-K, teacher, naive or reconstruction; repeatable', collect)
    .option('--samples <number>', "images to make (default: the run spec's finalSamples)", wholeNumber(1))
    .option('--update <number>', 'checkpoint (default: the newest)', wholeNumber(0))
    .option('--noise-seed <number>', "seed of the noise (default: that of the evaluation at the end of the run)", wholeNumber(0))
    .option('--json', 'print JSON', false)
    .addHelpText('after', '\nIt goes on when this command is ended; `dd2 run evaluations` shows what became of it. FID depends on the number of samples:\ncompare equal numbers.\n\nExample:\n  dd2 evaluate mnist-1a2b3c4d --sampler one-step --sampler multi-step-8 --samples 5000')
    .action(async (runId: string, { sampler = ['one-step'], samples, update, noiseSeed, json, ...server }: EvaluateCommandOptions) => {
      // With --json, stdout is for the program that reads it.
      const output = new LiveOutput(json ? process.stderr : process.stdout);
      const evaluations = await withRunClient(server, (client) => evaluateRun(client, { runId, samplers: sampler, samples, update, noiseSeed }, output));
      process.stdout.write(`${json ? JSON.stringify(evaluations.map(plainEvaluation), undefined, 2) : renderEvaluations(evaluations)}\n`);
    });
}

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Dd2Error } from '@dd2/core';
import type { Sampler } from '@dd2/models';
import { Command, Option } from 'commander';
import { wholeNumber } from '../options.js';

interface SampleCommandOptions {
  readonly run: string;
  readonly out: string;
  readonly count: number;
  readonly seed: number;
  readonly update?: number;
  readonly sampler: 'one-step' | 'teacher' | 'naive' | 'reconstruction';
  readonly multiStep?: number;
  readonly dataDir: string;
}

/** `dd2 sample` */
export function sampleCommand(): Command {
  return new Command('sample')
    .description('make images with a checkpoint of a run, as one PNG; needs the data folder, no cluster')
    .requiredOption('--run <id>', 'run id')
    .requiredOption('--out <file>', 'PNG to write')
    .option('--count <number>', 'images; the classes take turns', wholeNumber(1), 100)
    .option('--seed <number>', 'seed of the noise', wholeNumber(0), 1)
    .option('--update <number>', 'checkpoint (default: the newest)', wholeNumber(0))
    .addOption(new Option('--sampler <name>', 'what makes the tokens').choices(['one-step', 'teacher', 'naive', 'reconstruction']).default('one-step'))
    .addOption(new Option('--multi-step <k>', 'keep the first k tokens of the one-step sample, the teacher redoes the rest').argParser(wholeNumber(1)).conflicts('sampler'))
    .option('--data-dir <folder>', 'holds runs/<id>/', '.dd2')
    .addHelpText('after', '\nThe same seed gives the same noise to every checkpoint and sampler.\n\nExample:\n  dd2 sample --run mnist-1a2b3c4d --out grid.png --multi-step 8')
    .action(async ({ run, out, sampler, multiStep, ...options }: SampleCommandOptions) => {
      const chosen: Sampler = multiStep === undefined ? { kind: sampler } : { kind: 'multi-step', keep: multiStep };
      const { sampleImages } = await import('../sample-images.js');
      const { png, update } = await sampleImages({ ...options, runId: run, sampler: chosen });
      await writeImage(out, png);
      process.stdout.write(`wrote ${out}: ${options.count} images of checkpoint ${update}\n`);
    });
}

/** @throws {Dd2Error} INVALID_ARGUMENT for a place that cannot be written */
export async function writeImage(file: string, png: Uint8Array): Promise<void> {
  try {
    await mkdir(path.dirname(path.resolve(file)), { recursive: true });
    await writeFile(file, png);
  } catch (cause) {
    throw new Dd2Error('INVALID_ARGUMENT', `${file} cannot be written`, { field: '--out', remedy: 'Choose a place that you may write to', cause });
  }
}

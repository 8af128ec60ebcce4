import { Command } from 'commander';
import { wholeNumber } from '../options.js';

/** `dd2 prepare mnist` */
export function prepareCommand(): Command {
  const command = new Command('prepare').description('make an asset bundle: feature network, tokenizer, teacher, tokens');
  command
    .command('mnist')
    .description('train all of it on MNIST with the built-in engine (about 10 CPU minutes)')
    .option('--out <folder>', 'folder of the bundle; an older bundle there is replaced', 'assets/mnist')
    .option('--seed <number>', 'seed of all random draws', wholeNumber(0), 0)
    .option('--threads <number>', 'threads of one graph execution', wholeNumber(1), 2)
    .addHelpText('after', '\nThe same seed, threads and versions give the same weights.\n\nExample:\n  dd2 prepare mnist --out my-assets --seed 1')
    .action(async (options: { out: string; seed: number; threads: number }) => {
      const { prepareMnist } = await import('../prepare/prepare-mnist.js');
      const manifest = await prepareMnist(options, (line) => process.stdout.write(`${line}\n`));
      const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
      process.stdout.write(`wrote ${options.out} (${(bytes / 1e6).toFixed(1)} MB)\n`);
    });
  return command;
}

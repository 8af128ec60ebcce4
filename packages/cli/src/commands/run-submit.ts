import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { clientCommand, isElsewhere, type ServerOptions } from '../connection.js';
import { submit } from '../distil.js';
import { priority, setOption, wholeNumber } from '../options.js';
import { print, printJson } from '../print.js';
import { LiveOutput } from '../render/live-output.js';
import { plainRun } from '../render/plain.js';
import { withRunClient, type RunClient } from '../run-client.js';
import { readSpecFile, type SpecFile } from '../spec-file.js';
import { watchRun } from '../watch/watch-run.js';

interface SubmitCommandOptions extends ServerOptions {
  readonly set: readonly string[];
  readonly untilUpdate?: number;
  readonly priority: number;
  readonly new: boolean;
  readonly basePath?: string;
  readonly watch: boolean;
  readonly json: boolean;
}

/** `dd2 run submit` */
export function submitCommand(): Command {
  return clientCommand('submit')
    .description('queue a run and print its id')
    .argument('<spec>', 'run spec (YAML), - for standard input')
    .addOption(setOption())
    .option('--priority <number>', 'larger goes first in the queue', priority, 0)
    .option('--until-update <number>', 'pause with a checkpoint after this many updates', wholeNumber(1))
    .option('--new', 'a run of its own, even if the same spec was submitted before', false)
    .option('--base-path <folder>', "folder on the coordinator's machine that the spec's relative paths start from (default: the spec's, and a coordinator elsewhere gets the asset bundle sent)")
    .option('--watch', 'watch it then, as `dd2 run watch` does', false)
    .option('--json', 'print JSON: the run', false)
    .addHelpText('after', '\nThe same spec again is the same run: one that was paused or that failed is resumed. A coordinator that is named by a URL or is not on\nthis machine gets the asset bundle that the spec names here, unless it has it.\n\nExample:\n  dd2 run submit configs/mnist.yaml --set seed=3 --priority 10 --watch')
    .action(async (file: string, options: SubmitCommandOptions) => {
      const specFile = readSpecFile(file, options.set);
      const settings = { untilUpdate: options.untilUpdate, priority: options.priority, key: options.new ? randomUUID() : undefined };
      await withRunClient(options, async (client) => {
        const run = await submit(client, await placed(client, specFile, options), settings);
        if (!options.watch && options.json) printJson(plainRun(run));
        else if (!options.json) print(run.runId);
        if (options.watch) await watchRun(client, run.runId, { json: options.json });
      });
    });
}

/** The spec with its paths as the coordinator sees them. */
async function placed(client: RunClient, specFile: SpecFile, { server, basePath }: SubmitCommandOptions): Promise<SpecFile> {
  if (basePath !== undefined) return { ...specFile, folder: basePath };
  if (!isElsewhere(server)) return specFile;
  const { placeAssets } = await import('../assets/place-assets.js');
  return placeAssets(client, specFile, new LiveOutput(process.stderr));
}

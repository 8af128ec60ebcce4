import { randomUUID } from 'node:crypto';
import type { Run } from '@dd2/proto';
import { Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import { submit } from '../distil.js';
import { followRun, requireNotFailed } from '../follow-run.js';
import { priority, setOption, wholeNumber } from '../options.js';
import { LiveOutput } from '../render/live-output.js';
import { describeOutcome, stateName } from '../render/run-outcome.js';
import { withRunClient, type RunClient } from '../run-client.js';
import { readSpecFile } from '../spec-file.js';
import { compareCommand } from './run-compare.js';
import { evaluationsCommand } from './run-evaluations.js';
import { listCommand, showCommand } from './run-list.js';

/** `dd2 run ...`: what people ask a coordinator that runs elsewhere. */
export function runCommand(): Command {
  const command = new Command('run').description('submit, watch, pause and compare the runs of a coordinator');
  for (const subcommand of [
    submitCommand(),
    watchCommand(),
    showCommand(),
    listCommand(),
    changeCommand('pause', 'end a run after its update with a checkpoint, or take it out of the queue; it can be resumed', (client, runId) => client.pauseRun({ runId })),
    changeCommand('resume', 'queue a run that was paused, or that failed, again; it goes on from its newest checkpoint', (client, runId) => client.resumeRun({ runId })),
    changeCommand('cancel', 'end a run for good, at once; its last checkpoint stays', (client, runId) => client.cancelRun({ runId })),
    evaluationsCommand(),
    compareCommand(),
  ]) {
    command.addCommand(subcommand);
  }
  return command;
}

interface SubmitCommandOptions extends ServerOptions {
  readonly set: readonly string[];
  readonly untilUpdate?: number;
  readonly priority: number;
  readonly new: boolean;
  readonly basePath?: string;
}

function submitCommand(): Command {
  return clientCommand('submit')
    .description('queue a run and print its id')
    .argument('<spec>', 'run spec (YAML)')
    .addOption(setOption())
    .option('--priority <number>', 'larger goes first in the queue', priority, 0)
    .option('--until-update <number>', 'pause with a checkpoint after this many updates', wholeNumber(1))
    .option('--new', 'a run of its own, even if the same spec was submitted before', false)
    .option('--base-path <folder>', "folder on the coordinator's machine that the spec's relative paths start from (default: the spec's)")
    .addHelpText('after', '\nThe same spec again is the same run: one that was paused or that failed is resumed.\n\nExample:\n  dd2 run submit configs/mnist.yaml --set seed=3 --priority 10')
    .action(async (file: string, options: SubmitCommandOptions) => {
      const specFile = readSpecFile(file, options.set);
      const placed = options.basePath === undefined ? specFile : { ...specFile, folder: options.basePath };
      const settings = { untilUpdate: options.untilUpdate, priority: options.priority, key: options.new ? randomUUID() : undefined };
      const run = await withRunClient(options, (client) => submit(client, placed, settings));
      process.stdout.write(`${run.runId}\n`);
    });
}

function watchCommand(): Command {
  return clientCommand('watch')
    .description("show a run's events until it ends")
    .argument('<run>', 'run id')
    .action(async (runId: string, options: ServerOptions) => {
      const output = new LiveOutput(process.stdout);
      const run = await withRunClient(options, (client) => followRun(client, runId, { output }));
      requireNotFailed(run);
      output.line(describeOutcome(run));
    });
}

/** A command that changes where a run stands, and prints where it stands then. */
function changeCommand(name: string, description: string, call: (client: RunClient, runId: string) => Promise<{ readonly run?: Run | undefined }>): Command {
  return clientCommand(name)
    .description(description)
    .argument('<run>', 'run id')
    .action(async (runId: string, options: ServerOptions) => {
      const { run } = await withRunClient(options, (client) => call(client, runId));
      if (run) process.stdout.write(`${run.runId} ${stateName(run.state)}\n`);
    });
}

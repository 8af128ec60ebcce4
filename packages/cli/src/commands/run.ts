import { Command } from 'commander';
import { changeCommands } from './run-change.js';
import { compareCommand } from './run-compare.js';
import { evaluationsCommand } from './run-evaluations.js';
import { exportCommand } from './run-export.js';
import { listCommand } from './run-list.js';
import { logsCommand } from './run-logs.js';
import { showCommand } from './run-show.js';
import { submitCommand } from './run-submit.js';
import { validateCommand } from './run-validate.js';
import { watchCommand } from './run-watch.js';

/** `dd2 run ...`: what people ask a coordinator that runs elsewhere. */
export function runCommand(): Command {
  const command = new Command('run').description('submit, watch, pause and compare the runs of a coordinator');
  for (const subcommand of [
    validateCommand(),
    submitCommand(),
    listCommand(),
    showCommand(),
    watchCommand(),
    logsCommand(),
    ...changeCommands(),
    evaluationsCommand(),
    compareCommand(),
    exportCommand(),
  ]) {
    command.addCommand(subcommand);
  }
  return command;
}

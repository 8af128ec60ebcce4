import { Command } from 'commander';
import { coordinatorCommand } from './commands/coordinator.js';
import { evaluateCommand } from './commands/evaluate.js';
import { prepareCommand } from './commands/prepare.js';
import { quickstartCommand } from './commands/quickstart.js';
import { runCommand } from './commands/run.js';
import { sampleCommand } from './commands/sample.js';
import { trainCommand } from './commands/train.js';
import { upCommand } from './commands/up.js';
import { workerCommand } from './commands/worker.js';
import { ownVersion } from './versions.js';

/** The command line of `dd2`. Actions throw `Dd2Error`s and set `process.exitCode` for other outcomes. */
export function createProgram(): Command {
  const program = new Command('dd2')
    .description('Distilled Decoding 2: turns an image auto-regressive teacher into a one-step generator, on one machine or a cluster.')
    .version(ownVersion())
    .option('--verbose', 'more detail, and stacks of errors')
    .configureHelp({ showGlobalOptions: false })
    .showHelpAfterError('(dd2 --help lists the commands)');
  for (const command of [
    quickstartCommand(),
    trainCommand(),
    upCommand(),
    coordinatorCommand(),
    workerCommand(),
    runCommand(),
    evaluateCommand(),
    sampleCommand(),
    prepareCommand(),
  ]) {
    program.addCommand(command);
  }
  return program;
}

import { Command, CommanderError } from 'commander';
import { Dd2Error } from '@dd2/core';
import { chaosCommand } from './commands/chaos.js';
import { certsCommand } from './commands/certs.js';
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

/**
 * The command line of `dd2`. Actions throw `Dd2Error`s and set `process.exitCode` for other outcomes. They load what they run
 * themselves: a worker that is started again should not wait for the coordinator's code, nor `dd2 run list` for the engine's.
 */
export function createProgram(): Command {
  const program = new Command('dd2')
    .description('Distilled Decoding 2: turns an image auto-regressive teacher into a one-step generator, on one machine or a cluster.')
    .version(ownVersion())
    .option('--verbose', 'more detail, and stacks of errors')
    .configureHelp({ showGlobalOptions: false });
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
    certsCommand(),
    chaosCommand(),
  ]) {
    program.addCommand(command);
  }
  throwMisuse(program, program.name());
  return program;
}

/** A command line that cannot be understood is thrown, as every other error is, instead of being printed. */
function throwMisuse(command: Command, name: string): void {
  command.configureOutput({ outputError: () => undefined });
  command.exitOverride((error) => {
    // Help that was asked for, or shown because a subcommand is missing, is printed already.
    if (error.exitCode === 0 || error.code === 'commander.help') throw error;
    throw new Dd2Error('INVALID_ARGUMENT', error.message.replace(/^error: /, '').replace(/\.$/, ''), { remedy: `\`${name} --help\` tells more`, cause: error });
  });
  for (const subcommand of command.commands) throwMisuse(subcommand, `${name} ${subcommand.name()}`);
}

/** Runs a command line. */
export async function runCommandLine(): Promise<void> {
  try {
    await createProgram().parseAsync();
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    process.exitCode = thrown.exitCode;
  }
}

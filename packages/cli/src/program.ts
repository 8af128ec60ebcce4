import { Command, CommanderError } from 'commander';
import { Dd2Error } from '@dd2/core';
import { completionCommand } from './commands/completion.js';
import { assetsCommand } from './commands/assets.js';
import { doctorCommand } from './commands/doctor.js';
import { helpCommand } from './commands/help.js';
import { chaosCommand } from './commands/chaos.js';
import { certsCommand } from './commands/certs.js';
import { checkpointCommand } from './commands/checkpoint.js';
import { coordinatorCommand } from './commands/coordinator.js';
import { dashboardCommand } from './commands/dashboard.js';
import { evaluateCommand } from './commands/evaluate.js';
import { kubernetesCommand } from './commands/kubernetes.js';
import { prepareCommand } from './commands/prepare.js';
import { quickstartCommand } from './commands/quickstart.js';
import { runCommand } from './commands/run.js';
import { sampleCommand } from './commands/sample.js';
import { trainCommand } from './commands/train.js';
import { upCommand } from './commands/up.js';
import { workerCommand } from './commands/worker.js';
import { COMPLETE } from './completion/scripts.js';
import { acceptLeadingOptions } from './leading-options.js';
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
    .configureHelp({ showGlobalOptions: false })
    .helpCommand(false)
    .addHelpText(
      'after',
      `
Exit codes: 0 done, 1 error, 2 wrong command line or run spec, 3 not found, 4 not let in, 5 nobody answers, 6 conflict, 7 the run failed,
8 damaged file, 9 not possible here, 130 interrupted; \`dd2 help exit-codes\` tells more. With --json, errors are JSON on stderr.

Examples:
  dd2 doctor
  dd2 train configs/mnist.yaml --workers 2
  dd2 run list --json`,
    );
  for (const command of [
    quickstartCommand(),
    trainCommand(),
    upCommand(),
    coordinatorCommand(),
    dashboardCommand(),
    workerCommand(),
    runCommand(),
    checkpointCommand(),
    evaluateCommand(),
    sampleCommand(),
    prepareCommand(),
    assetsCommand(),
    certsCommand(),
    kubernetesCommand(),
    chaosCommand(),
    doctorCommand(),
    completionCommand(),
    helpCommand(),
  ]) {
    program.addCommand(command);
  }
  acceptLeadingOptions(program);
  throwMisuse(program, program.name());
  return program;
}

/** As the exit code of INVALID_ARGUMENT. */
const MISUSED = 2;

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

/** Runs a command line; or completes one, for a shell. */
export async function runCommandLine(): Promise<void> {
  const [first, ...words] = process.argv.slice(2);
  if (first === COMPLETE) {
    const [{ complete, formatCompletion }, { findRunIds }] = await Promise.all([import('./completion/candidates.js'), import('./completion/run-ids.js')]);
    process.stdout.write(formatCompletion(await complete(createProgram(), words, findRunIds)));
    return;
  }
  try {
    await createProgram().parseAsync();
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    // Commander counts a missing subcommand as 1.
    process.exitCode = thrown.exitCode === 0 ? 0 : MISUSED;
  }
}

/** Whether a command line asks its command for JSON. Its error is JSON then, too, even when the rest of it makes no sense. */
export function wantsJson(words: readonly string[]): boolean {
  return words.includes('--json') && commandsOf(words).at(-1)?.options.some(({ long, required }) => long === '--json' && !required) === true;
}

/** The names of the command that a command line is for, from the outer one on; also when the rest of it makes no sense. */
export function commandPath(words: readonly string[]): string[] {
  return commandsOf(words).slice(1).map((command) => command.name());
}

function commandsOf(words: readonly string[]): Command[] {
  const commands = [createProgram()];
  for (const word of words) {
    const next = commands.at(-1)?.commands.find((subcommand) => subcommand.name() === word);
    if (next) commands.push(next);
  }
  return commands;
}

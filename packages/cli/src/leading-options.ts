import { Dd2Error } from '@dd2/core';
import { Option, type Command } from 'commander';
import { CONNECTION_GROUP } from './connection.js';
import { server } from './options.js';

/** The options of a connection that may stand before the command, too: `dd2 --server https://dd2.example.org --token-file api run list`. */
const leadingOptions = (): Option[] => [
  new Option('--server <address>', 'before or after a command that asks a coordinator: HOST:PORT, or https://HOST[:PORT]').argParser(server).helpGroup(CONNECTION_GROUP),
  new Option('--token-file <file>', "the same: file with the coordinator's token").helpGroup(CONNECTION_GROUP),
  new Option('--certs <folder>', 'the same: TLS with the certificates of this folder').helpGroup(CONNECTION_GROUP),
];

/**
 * Lets these options stand before the command. What stands after it goes first, and both go before the environment.
 * Options of commands are looked for after the command only, with `--verbose` as the exception that it always was.
 */
export function acceptLeadingOptions(program: Command): void {
  const options = leadingOptions();
  for (const option of options) program.addOption(option);
  program.enablePositionalOptions();
  for (const command of program.commands) acceptVerbose(command);
  program.hook('preAction', (_program, command) => {
    for (const option of options) handOver(option, program, command);
  });
}

function acceptVerbose(command: Command): void {
  command.addOption(new Option('--verbose').hideHelp());
  for (const subcommand of command.commands) acceptVerbose(subcommand);
}

/** Both have the value then: some commands look at what their parents have. */
function handOver(option: Option, program: Command, command: Command): void {
  const name = option.attributeName();
  const value: unknown = program.getOptionValue(name);
  if (value === undefined) return;
  if (!command.options.some(({ long }) => long === option.long)) {
    throw new Dd2Error('INVALID_ARGUMENT', `\`${nameOf(command)}\` has no option ${option.long}`, { remedy: `\`${nameOf(command)} --help\` tells which it has` });
  }
  if (command.getOptionValueSource(name) === 'cli') program.setOptionValueWithSource(name, command.getOptionValue(name), 'cli');
  else command.setOptionValueWithSource(name, value, 'cli');
}

const nameOf = (command: Command): string => (command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name());

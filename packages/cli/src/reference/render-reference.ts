import type { Command } from 'commander';

/** What is below this line in docs/cli.md is made of the program. */
export const MARKER = '<!-- Made of the program by `node packages/cli/dist/reference/write-reference.js`; what is above this line is written by hand. -->';

/** Every command with its arguments and options, as Markdown. */
export function renderReference(program: Command): string {
  return `${describe(program, program.name(), 2).join('\n\n')}\n`;
}

function describe(command: Command, name: string, level: number): string[] {
  const help = command.createHelp();
  const entries = [
    ...command.registeredArguments.map((argument) => entry(usageOf(argument.name(), argument.required, argument.variadic), help.argumentDescription(argument))),
    ...help.visibleOptions(command).map((option) => entry(option.flags, withoutFolders(help.optionDescription(option)))),
  ].filter((line) => !line.startsWith('- `-h, --help`'));
  const subcommands = help.visibleCommands(command).filter((one) => command.commands.includes(one));
  return [
    `${'#'.repeat(level)} ${name}`,
    `\`${withoutNewlines(help.commandUsage(command))}\``,
    plainText(command.description()),
    ...(entries.length > 0 ? [entries.join('\n')] : []),
    ...subcommands.flatMap((one) => describe(one, `${name} ${one.name()}`, Math.min(4, level + 1))),
  ];
}

const entry = (what: string, description: string): string => `- \`${what}\` ${plainText(description)}`;

const usageOf = (name: string, required: boolean, variadic: boolean): string => (required ? `<${name}${variadic ? '...' : ''}>` : `[${name}${variadic ? '...' : ''}]`);

/** Angle brackets would be taken for HTML. */
const plainText = (text: string): string => text.replaceAll('<', '\\<').replaceAll('*', '\\*');

/** Defaults that are files of the repository depend on where the program is started. */
const withoutFolders = (text: string): string => text.replaceAll(/"[^"]*?(configs\/[\w-]+\.yaml)"/g, '"$1"');

const withoutNewlines = (text: string): string => text.replaceAll(/\s*\n\s*/g, '` or `');

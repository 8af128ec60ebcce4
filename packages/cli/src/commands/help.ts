import { Dd2Error } from '@dd2/core';
import { Command } from 'commander';
import { describeExitCodes } from '../exit-codes.js';
import { print } from '../print.js';

const EXIT_CODES = 'exit-codes';

/** `dd2 help` */
export function helpCommand(): Command {
  return new Command('help')
    .description(`help for a command; \`dd2 help ${EXIT_CODES}\` for what exit codes mean`)
    .argument('[command...]', `command, for example run list; or ${EXIT_CODES}`)
    .action((names: readonly string[], _options: unknown, self: Command) => {
      if (names[0] === EXIT_CODES) return print(describeExitCodes());
      let command = self.parent ?? self;
      for (const name of names) {
        const found = command.commands.find((one) => one.name() === name);
        if (!found) throw new Dd2Error('INVALID_ARGUMENT', `there is no command "${names.join(' ')}"`, { remedy: '`dd2 --help` lists them' });
        command = found;
      }
      command.outputHelp();
    });
}

import { Argument, Command } from 'commander';
import { scripts, shells, type Shell } from '../completion/scripts.js';

/** `dd2 completion` */
export function completionCommand(): Command {
  return new Command('completion')
    .description('print a script that completes commands, options, files and run ids in your shell')
    .addArgument(new Argument('<shell>', 'your shell').choices(shells))
    .addHelpText(
      'after',
      `
Run ids are asked from the coordinator that the command line names, for a second at most.

Examples:
  echo 'source <(dd2 completion bash)' >> ~/.bashrc
  echo 'source <(dd2 completion zsh)' >> ~/.zshrc           # after compinit
  dd2 completion fish > ~/.config/fish/completions/dd2.fish`,
    )
    .action((shell: Shell) => void process.stdout.write(scripts[shell]));
}

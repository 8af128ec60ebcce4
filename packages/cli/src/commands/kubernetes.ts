import { Command } from 'commander';
import { awaitCommand } from './kubernetes-await.js';
import { bootstrapCommand } from './kubernetes-bootstrap.js';
import { loginCommand } from './kubernetes-login.js';

/** `dd2 kubernetes ...` */
export function kubernetesCommand(): Command {
  const command = new Command('kubernetes').description('what an installation in Kubernetes needs: its Secrets, and how to reach it from a laptop');
  for (const subcommand of [loginCommand(), bootstrapCommand(), awaitCommand()]) command.addCommand(subcommand);
  return command;
}

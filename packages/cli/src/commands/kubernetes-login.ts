import { Command, Option } from 'commander';
import { namespaceName } from '../kubernetes/namespace.js';
import { server } from '../options.js';
import { print, printJson } from '../print.js';

interface LoginCommandOptions {
  readonly namespace: string;
  readonly context?: string;
  readonly out?: string;
  readonly server?: string;
  readonly force: boolean;
  readonly print: boolean;
  readonly json: boolean;
}

/** `dd2 kubernetes login` */
export function loginCommand(): Command {
  return new Command('login')
    .description('on a laptop: copy certificate and token of an installation with kubectl, and say how to reach it')
    .option('--namespace <name>', 'namespace of the installation', namespaceName, 'dd2')
    .option('--context <name>', 'context of the kubeconfig (default: the current one)')
    .option('--out <folder>', 'folder to write to (default: the namespace and -access)')
    .option('--server <address>', 'how the coordinator is dialled from here, when it can be dialled without `kubectl port-forward`: https://HOST[:PORT]', server)
    .option('--force', 'replace what is in the folder, whatever it is', false)
    .addOption(new Option('--print', 'print kubectl commands that write the same files, and do nothing').default(false).conflicts('json'))
    .option('--json', 'print JSON: folder, server, page, environment, and the command for the port-forward', false)
    .addHelpText(
      'after',
      `
It needs a kubeconfig that may get the Secrets dd2-client-tls and dd2-api-token. The folder is for your eyes only: who has a copy may do
with the coordinator whatever you may. Log in again after certificates or tokens were renewed.

Example:
  dd2 kubernetes login --namespace dd2
  kubectl -n dd2 port-forward service/dd2-coordinator 7070 7080
  dd2 --server https://127.0.0.1:7070 --certs dd2-access --token-file dd2-access/token run list`,
    )
    .action(async ({ namespace, context, out = `${namespace}-access`, server: dialled, force, print: byHand, json }: LoginCommandOptions) => {
      const [{ login }, { renderByHand, renderLogin, summarize }] = await Promise.all([import('../kubernetes/login.js'), import('../kubernetes/login-text.js')]);
      const scope = { namespace, context };
      if (byHand) return print(renderByHand(scope, out));
      const summary = summarize(scope, await login({ ...scope, folder: out, force }), dialled);
      if (json) printJson(summary);
      else print(renderLogin(summary));
    });
}

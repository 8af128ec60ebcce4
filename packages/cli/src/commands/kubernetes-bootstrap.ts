import { Command, Option } from 'commander';
import { namespaceName } from '../kubernetes/namespace.js';
import type { SecretGroup } from '../kubernetes/secrets.js';
import { hostNames } from '../options.js';
import { serviceLogger } from '../process-logger.js';

interface BootstrapCommandOptions {
  readonly namespace?: string;
  readonly host: readonly string[];
  readonly withoutCertificates: boolean;
  readonly withoutRedis: boolean;
}

/** `dd2 kubernetes bootstrap` */
export function bootstrapCommand(): Command {
  return new Command('bootstrap')
    .description('in a pod: make the Secrets of an installation that are not there, and renew certificates that expire soon')
    .option('--namespace <name>', 'where the Secrets are (default: the namespace of the pod)', namespaceName)
    .addOption(
      new Option('--host <names>', 'names and addresses of the coordinator outside of the cluster, with commas between them; repeatable')
        .env('DD2_CERTIFICATE_HOSTS')
        .argParser((text: string, earlier: readonly string[]) => (text.trim() === '' ? earlier : hostNames(text, earlier)))
        .default([] as readonly string[], 'none: through `kubectl port-forward` only'),
    )
    .addOption(new Option('--without-certificates', 'certificates come from elsewhere: cert-manager').default(false))
    .addOption(new Option('--without-redis', 'Redis and its password come from elsewhere').default(false))
    .addHelpText(
      'after',
      `
It is the first init container of the coordinator, and may be run again at any time. It needs a ServiceAccount that may create Secrets, and
get and update those that it makes. A Secret that is there stays as it is, whatever is in it; certificates are issued anew when they
have less than 90 days left, lack a name, or were not signed by the authority in dd2-ca. Without dd2-ca there is a new authority.

Example:
  dd2 kubernetes bootstrap --host dd2.example.org`,
    )
    .action(async ({ namespace: named, host, withoutCertificates, withoutRedis }: BootstrapCommandOptions, command: Command) => {
      const { verbose = false } = command.optsWithGlobals<{ verbose?: boolean }>();
      const [{ bootstrap }, { createSecretsApi }, { readServiceAccount }] = await Promise.all([import('../kubernetes/bootstrap.js'), import('../kubernetes/secrets-api.js'), import('../kubernetes/service-account.js')]);
      const logger = serviceLogger('bootstrap', verbose);
      const access = readServiceAccount();
      const namespace = named ?? access.namespace;
      const api = createSecretsApi({ access, namespace, onRetry: (problem) => logger.warn({ problem }, `the Kubernetes API cannot be used, trying again: ${problem}`) });
      const without: SecretGroup[] = [...(withoutCertificates ? (['certificates'] as const) : []), ...(withoutRedis ? (['redis'] as const) : [])];
      await bootstrap({ api, namespace, hosts: host, without, logger });
    });
}

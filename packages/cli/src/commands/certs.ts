import { Command, Option } from 'commander';
import { hostNames } from '../options.js';

interface InitOptions {
  readonly dir: string;
  readonly host: readonly string[];
  readonly force: boolean;
  readonly renew: boolean;
}

/** `dd2 certs init` */
export function certsCommand(): Command {
  const command = new Command('certs').description('certificates for TLS between coordinator, workers and clients');
  command
    .command('init')
    .description('make an authority, and certificates for a coordinator and its clients that it signs')
    .option('--dir <folder>', 'folder to write to', 'certs')
    .addOption(new Option('--host <names>', 'names and addresses that clients dial, with commas between them; repeatable').argParser(hostNames).default([], 'those of this machine, which are always there'))
    .addOption(new Option('--renew', 'new certificates of the authority that is there, for the same hosts and those of --host').default(false).conflicts('force'))
    .addOption(new Option('--force', 'replace the authority that is there; its certificates count no more').default(false))
    .addHelpText(
      'after',
      `
The folder serves both ends: \`--certs certs\`. Give other machines a copy without ca.key (it signs certificates) and server.key.
Coordinator and workers read the files again while they run: a copy of renewed ones is enough.

Example:
  dd2 certs init --dir certs --host node-1,10.0.0.5
  dd2 coordinator --host 0.0.0.0 --certs certs
  dd2 worker --coordinator node-1:7070 --certs certs --token-file join`,
    )
    .action(async ({ dir, host, force, renew }: InitOptions) => {
      const { makeCertificates } = await import('../certs/make-certificates.js');
      const made = await makeCertificates({ folder: dir, hosts: host, force, renew });
      process.stdout.write(`wrote ${dir}: certificates for ${made.hosts.join(', ')}, until ${made.expires.toISOString().slice(0, 10)}\n`);
    });
  return command;
}

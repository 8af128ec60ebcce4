import { hostname } from 'node:os';
import { Dd2Error } from '@dd2/core';
import { Command, Option } from 'commander';
import { listenForInterrupt, supervisorGone } from '../cluster/interrupt.js';
import { connect, connectionOptions, type ConnectionOptions } from '../connection.js';
import { address, providerOption, wholeNumber, type Provider } from '../options.js';
import { serviceLogger } from '../process-logger.js';
import { workerListCommand } from './worker-list.js';

interface WorkerOptions extends ConnectionOptions {
  readonly coordinator?: string;
  readonly name?: string;
  readonly provider: Provider;
  readonly threads: number;
  readonly role?: 'teacher';
  readonly drainSeconds: number;
  readonly stream: boolean;
  readonly supervised: boolean;
}

/** `dd2 worker` */
export function workerCommand(): Command {
  const command = new Command('worker')
    .description('run a worker: it executes the programs that a coordinator leases to it; or list those that are connected')
    .usage('--coordinator <host:port> [options]\n       dd2 worker list [options]')
    .option('--coordinator <host:port>', 'coordinator to join; needed', address)
    .option('--name <name>', 'shown in logs and pages (default: host name and process id)')
    .addOption(providerOption('execution provider').default('cpu' satisfies Provider))
    .option('--threads <number>', 'threads of one graph execution; must be the same on all workers of a run', wholeNumber(1), 1)
    .addOption(new Option('--role <role>', 'work on teacher queries only, for runs with `teacher: { placement: pool }`').choices(['teacher']))
    .option('--drain-seconds <number>', 'on SIGTERM, how long the work in hand may still take', wholeNumber(0), 25)
    .option('--stream', 'stream parameters and gradients even when the coordinator is on this machine', false)
    .addOption(new Option('--supervised', 'leave when the IPC channel to the parent process closes').hideHelp().default(false))
    .addHelpText('after', '\nIt joins again by itself when the coordinator restarts.\n\nExample:\n  dd2 worker --coordinator 10.0.0.5:7070 --provider cuda --certs certs --token-file join')
    .action(async ({ coordinator, name, provider, threads, role, drainSeconds, stream, supervised, ...options }: WorkerOptions, command: Command) => {
      // Not an option that commander requires: `dd2 worker list` has no use for it.
      if (coordinator === undefined) throw new Dd2Error('INVALID_ARGUMENT', "required option '--coordinator <host:port>' not specified", { remedy: '`dd2 worker --help` tells more' });
      const { verbose = false } = command.optsWithGlobals<{ verbose?: boolean }>();
      const leave = supervised ? supervisorGone() : listenForInterrupt(endAtOnce);
      const logger = serviceLogger('worker', verbose);
      // A supervised worker's usual comings and goings are in the coordinator's log.
      if (supervised && !verbose) logger.level = 'error';
      const connection = connect('join', coordinator, options, {
        onReload: () => logger.info('new certificates are in use'),
        onTrouble: (error) => logger.error({ err: error }, 'new certificates cannot be used, those before stay'),
      });
      const { runWorker } = await import('@dd2/worker');
      const { drained } = await runWorker({
        coordinator,
        connection,
        name: name ?? `${hostname()}-${process.pid}`,
        provider,
        intraOpThreads: threads,
        ...(role === undefined ? {} : { role }),
        stream,
        signal: leave.signal,
        drainMs: drainSeconds * 1_000,
        logger,
        reconnect: true,
      });
      leave.dispose();
      if (!drained) endAtOnce();
      if (process.connected) process.disconnect();
    });
  for (const option of connectionOptions()) command.addOption(option);
  return command.addCommand(workerListCommand());
}

/** An exit would wait for the engine's thread, which may compute for long. */
function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
}

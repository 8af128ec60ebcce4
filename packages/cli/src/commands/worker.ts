import { hostname } from 'node:os';
import { runWorker } from '@dd2/worker';
import { Command, Option } from 'commander';
import { listenForInterrupt } from '../cluster/interrupt.js';
import { address, providerOption, wholeNumber, type Provider } from '../options.js';
import { serviceLogger } from '../process-logger.js';
import { INTERRUPTED } from '../report-error.js';

interface WorkerOptions {
  readonly coordinator: string;
  readonly name?: string;
  readonly provider: Provider;
  readonly threads: number;
  readonly stream: boolean;
  readonly supervised: boolean;
}

/** How long a worker whose supervisor has gone may finish what it does. */
const ORPHAN_GRACE_MS = 3_000;

/** `dd2 worker` */
export function workerCommand(): Command {
  return new Command('worker')
    .description('run a worker: it executes the programs that a coordinator leases to it')
    .requiredOption('--coordinator <host:port>', 'coordinator to join', address)
    .option('--name <name>', 'shown in logs and pages (default: host name and process id)')
    .addOption(providerOption('execution provider').default('cpu' satisfies Provider))
    .option('--threads <number>', 'threads of one graph execution; must be the same on all workers of a run', wholeNumber(1), 1)
    .option('--stream', 'stream parameters and gradients even when the coordinator is on this machine', false)
    .addOption(new Option('--supervised', 'leave when the IPC channel to the parent process closes').hideHelp().default(false))
    .addHelpText('after', '\nIt joins again by itself when the coordinator restarts.\n\nExample:\n  dd2 worker --coordinator 10.0.0.5:7070 --provider cuda')
    .action(async ({ coordinator, name, provider, threads, stream, supervised }: WorkerOptions, command: Command) => {
      const { verbose = false } = command.optsWithGlobals<{ verbose?: boolean }>();
      const leave = supervised ? supervisorGone() : listenForInterrupt(() => process.exit(INTERRUPTED));
      const logger = serviceLogger('worker', verbose);
      // A supervised worker's usual comings and goings are in the coordinator's log.
      if (supervised && !verbose) logger.level = 'error';
      await runWorker({
        coordinator,
        name: name ?? `${hostname()}-${process.pid}`,
        provider,
        intraOpThreads: threads,
        stream,
        signal: leave.signal,
        logger,
        reconnect: true,
      });
      leave.dispose();
      if (process.connected) process.disconnect();
    });
}

/**
 * A supervised worker leaves when its supervisor does, however that ended; signals of the terminal are the supervisor's
 * affair, which still wants the current update from it.
 */
function supervisorGone(): { readonly signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const ignore = (): void => undefined;
  const leave = (): void => {
    controller.abort();
    setTimeout(() => process.exit(0), ORPHAN_GRACE_MS).unref();
  };
  process.on('SIGINT', ignore);
  process.once('disconnect', leave);
  if (!process.connected) leave();
  return { signal: controller.signal, dispose: () => process.off('SIGINT', ignore) };
}

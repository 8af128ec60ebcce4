import { hostname } from 'node:os';
import { Dd2Error } from '@dd2/core';
import { Command, Option } from 'commander';
import { listenForInterrupt, supervisorGone } from '../cluster/interrupt.js';
import { connect, connectionOptions, type ConnectionOptions } from '../connection.js';
import { endAtOnce } from '../end-at-once.js';
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
  readonly healthPort?: number;
  readonly healthHost?: string;
  readonly leaseLimitMinutes: number;
  readonly stream: boolean;
  readonly supervised: boolean;
}

const PROBES = 'Probes:';
/** what a worker that is done may take to end by itself */
const LINGER_MS = 2_000;

/** `dd2 worker` */
export function workerCommand(): Command {
  const command = new Command('worker')
    .description('run a worker: it executes the programs that a coordinator leases to it; or list those that are connected')
    .usage('--coordinator <host:port> [options]\n       dd2 worker list [options]')
    .addOption(new Option('--coordinator <host:port>', 'coordinator to join; needed').env('DD2_COORDINATOR').argParser(address))
    .addOption(new Option('--name <name>', 'shown in logs and pages (default: host name and process id)').env('DD2_WORKER_NAME'))
    .addOption(providerOption('execution provider').env('DD2_PROVIDER').default('cpu' satisfies Provider))
    .addOption(new Option('--threads <number>', 'threads of one graph execution; must be the same on all workers of a run').env('DD2_THREADS').argParser(wholeNumber(1)).default(1))
    .addOption(new Option('--role <role>', 'work on teacher queries only, for runs with `teacher: { placement: pool }`').env('DD2_ROLE').choices(['teacher']))
    .addOption(new Option('--drain-seconds <number>', 'on SIGTERM, how long the work in hand may still take').env('DD2_DRAIN_SECONDS').argParser(wholeNumber(0)).default(25))
    .option('--stream', 'stream parameters and gradients even when the coordinator is on this machine', false)
    .addOption(new Option('--health-port <number>', 'answer probes over HTTP on this port, at /healthz and /readyz (default: nowhere)').env('DD2_HEALTH_PORT').argParser(wholeNumber(0)).helpGroup(PROBES))
    .addOption(new Option('--health-host <address>', 'interface for them (default: all; they tell whether it works, and nothing else)').env('DD2_HEALTH_HOST').helpGroup(PROBES))
    .addOption(new Option('--lease-limit-minutes <number>', 'a lease that computes for longer hangs: /healthz says so').env('DD2_LEASE_LIMIT_MINUTES').argParser(wholeNumber(1)).default(30).helpGroup(PROBES))
    .addOption(new Option('--supervised', 'leave when the IPC channel to the parent process closes').hideHelp().default(false))
    .addHelpText('after', '\nIt joins again by itself when the coordinator restarts. With DD2_LOG_FORMAT=json it prints nothing but JSON lines.\n\nExample:\n  dd2 worker --coordinator 10.0.0.5:7070 --provider cuda --certs certs --token-file join')
    .action(async ({ coordinator, name, provider, threads, role, drainSeconds, healthPort, healthHost, leaseLimitMinutes, stream, supervised, ...options }: WorkerOptions, command: Command) => {
      // Not an option that commander requires: `dd2 worker list` has no use for it.
      if (coordinator === undefined) throw new Dd2Error('INVALID_ARGUMENT', "required option '--coordinator <host:port>' not specified", { remedy: 'Name it (also as DD2_COORDINATOR); `dd2 worker --help` tells more' });
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
        health: healthPort === undefined ? undefined : { host: healthHost, port: healthPort },
        leaseLimitMs: leaseLimitMinutes * 60_000,
        logger,
        reconnect: true,
      });
      leave.dispose();
      if (!drained) endAtOnce();
      if (process.connected) process.disconnect();
      // Everything is done: a connection that is still being closed must not keep the process until somebody kills it.
      setTimeout(() => process.exit(), LINGER_MS).unref();
    });
  for (const option of connectionOptions()) command.addOption(option);
  return command.addCommand(workerListCommand());
}

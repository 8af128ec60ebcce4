import { once } from 'node:events';
import { Command, Option } from 'commander';
import { serverCertificates } from '../certs/folder.js';
import { listenForInterrupt, supervisorGone } from '../cluster/interrupt.js';
import { certsOption, insecureListenOption } from '../connection.js';
import { maxRunsOption, minWorkersOption, positiveNumber, queueSettings, redisOptions, wholeNumber, type QueueSettings } from '../options.js';
import { httpOptions, httpPortOption, noHttpOption, USUAL_PORT, type PageSettings } from '../page.js';
import { logFormat } from '../log-format.js';
import { serviceLogger } from '../process-logger.js';
import { INTERRUPTED } from '../exit-codes.js';
import { COORDINATOR_PORT } from '../server-address.js';

interface CoordinatorCommandOptions extends QueueSettings, PageSettings {
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly certs?: string;
  readonly insecure: boolean;
  readonly joinTokenFile?: string;
  readonly apiTokenFile?: string;
  readonly metricsTokenFile?: string;
  readonly basePath?: string;
  readonly maxAssetsGib: number;
  readonly supervised: boolean;
}

/** `dd2 coordinator` */
export function coordinatorCommand(): Command {
  const command = new Command('coordinator')
    .description('run a coordinator: it schedules runs over the workers that dial in')
    .addOption(new Option('--data-dir <folder>', 'holds runs/<id>/').env('DD2_DATA_DIR').default('.dd2'))
    .addOption(new Option('--host <address>', 'interface to listen on').env('DD2_HOST').default('127.0.0.1'))
    .addOption(new Option('--port <number>', 'port to listen on; 0 picks a free one').env('DD2_PORT').argParser(wholeNumber(0)).default(COORDINATOR_PORT))
    .addOption(httpPortOption(USUAL_PORT))
    .addOption(noHttpOption())
    .addOption(new Option('--base-path <folder>', 'folder that relative paths of run specs start from when they are submitted without one (default: the working directory)').env('DD2_BASE_PATH'))
    .addOption(new Option('--max-assets-gib <number>', 'asset bundles that are pushed from other machines have at most so much together').env('DD2_MAX_ASSETS_GIB').argParser(positiveNumber).default(64))
    .addOption(certsOption())
    .addOption(insecureListenOption())
    .addOption(new Option('--join-token-file <file>', 'token that workers show (default: made in tokens/ of the data folder)').env('DD2_JOIN_TOKEN_FILE'))
    .addOption(new Option('--api-token-file <file>', 'token that people and their tools show (default: made in tokens/ of the data folder)').env('DD2_API_TOKEN_FILE'))
    .addOption(new Option('--metrics-token-file <file>', 'token that lets monitoring read /metrics (default: made in tokens/ of the data folder)').env('DD2_METRICS_TOKEN_FILE'))
    .addOption(minWorkersOption().env('DD2_MIN_WORKERS'))
    .addOption(maxRunsOption().env('DD2_MAX_RUNS'))
    .addOption(new Option('--supervised', 'leave when the IPC channel to the parent process closes').hideHelp().default(false))
    .addHelpText(
      'after',
      `
Runs of the data folder that are not done go on by themselves. It logs JSON lines on stderr; with DD2_LOG_FORMAT=json it prints nothing
else, levels are words, and times are those of ISO 8601. SIGINT or SIGTERM ends it after a
checkpoint of each run.

Example:
  dd2 coordinator --data-dir /data --host 0.0.0.0 --certs certs`,
    )
    .action(async ({ dataDir, host, port, certs, insecure, joinTokenFile, apiTokenFile, metricsTokenFile, basePath, maxAssetsGib, http, httpPort, supervised, ...queue }: CoordinatorCommandOptions, command: Command) => {
      const { verbose = false } = command.optsWithGlobals<{ verbose?: boolean }>();
      const interrupt = supervised ? supervisorGone() : listenForInterrupt(() => process.exit(INTERRUPTED));
      const access = { tls: certs === undefined ? undefined : serverCertificates(certs), insecure, joinTokenFile, apiTokenFile, metricsTokenFile };
      const { Coordinator } = await import('@dd2/coordinator');
      const coordinator = await Coordinator.start({ dataDir, host, port, http: httpOptions({ http, httpPort }), access, basePath, maxAssetsBytes: maxAssetsGib * 1024 ** 3, ...queueSettings(queue), logger: serviceLogger('coordinator', verbose) });
      const ended = AbortSignal.any([interrupt.signal, coordinator.lost]);
      try {
        if (logFormat() === 'text') process.stdout.write(`coordinator at ${coordinator.address}\n${coordinator.httpUrl === undefined ? '' : `page at ${coordinator.httpUrl}\n`}`);
        if (!ended.aborted) await once(ended, 'abort');
        coordinator.lost.throwIfAborted();
      } finally {
        await coordinator.close();
        interrupt.dispose();
        if (process.connected) process.disconnect();
      }
    });
  for (const option of redisOptions()) command.addOption(option);
  return command;
}

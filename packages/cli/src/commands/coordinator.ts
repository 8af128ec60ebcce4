import { once } from 'node:events';
import { Command, Option } from 'commander';
import { serverCertificates } from '../certs/folder.js';
import { listenForInterrupt, supervisorGone } from '../cluster/interrupt.js';
import { certsOption, insecureListenOption } from '../connection.js';
import { maxRunsOption, minWorkersOption, queueSettings, redisUrlOption, wholeNumber, type QueueSettings } from '../options.js';
import { httpOptions, httpPortOption, noHttpOption, USUAL_PORT, type PageSettings } from '../page.js';
import { serviceLogger } from '../process-logger.js';
import { INTERRUPTED } from '../exit-codes.js';

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
  readonly supervised: boolean;
}

/** `dd2 coordinator` */
export function coordinatorCommand(): Command {
  return new Command('coordinator')
    .description('run a coordinator: it schedules runs over the workers that dial in')
    .option('--data-dir <folder>', 'holds runs/<id>/', '.dd2')
    .option('--host <address>', 'interface to listen on', '127.0.0.1')
    .option('--port <number>', 'port to listen on; 0 picks a free one', wholeNumber(0), 7070)
    .addOption(httpPortOption(USUAL_PORT))
    .addOption(noHttpOption())
    .option('--base-path <folder>', 'folder that relative paths of run specs start from when they are submitted without one (default: the working directory)')
    .addOption(certsOption())
    .addOption(insecureListenOption())
    .addOption(new Option('--join-token-file <file>', 'token that workers show (default: made in tokens/ of the data folder)').env('DD2_JOIN_TOKEN_FILE'))
    .addOption(new Option('--api-token-file <file>', 'token that people and their tools show (default: made in tokens/ of the data folder)').env('DD2_API_TOKEN_FILE'))
    .addOption(new Option('--metrics-token-file <file>', 'token that lets monitoring read /metrics (default: made in tokens/ of the data folder)').env('DD2_METRICS_TOKEN_FILE'))
    .addOption(redisUrlOption())
    .addOption(minWorkersOption())
    .addOption(maxRunsOption())
    .addOption(new Option('--supervised', 'leave when the IPC channel to the parent process closes').hideHelp().default(false))
    .addHelpText(
      'after',
      `
Runs of the data folder that are not done go on by themselves. It logs JSON lines on stderr. SIGINT or SIGTERM ends it after a
checkpoint of each run.

Example:
  dd2 coordinator --data-dir /data --host 0.0.0.0 --certs certs`,
    )
    .action(async ({ dataDir, host, port, certs, insecure, joinTokenFile, apiTokenFile, metricsTokenFile, basePath, http, httpPort, supervised, ...queue }: CoordinatorCommandOptions, command: Command) => {
      const { verbose = false } = command.optsWithGlobals<{ verbose?: boolean }>();
      const interrupt = supervised ? supervisorGone() : listenForInterrupt(() => process.exit(INTERRUPTED));
      const access = { tls: certs === undefined ? undefined : serverCertificates(certs), insecure, joinTokenFile, apiTokenFile, metricsTokenFile };
      const { Coordinator } = await import('@dd2/coordinator');
      const coordinator = await Coordinator.start({ dataDir, host, port, http: httpOptions({ http, httpPort }), access, basePath, ...queueSettings(queue), logger: serviceLogger('coordinator', verbose) });
      const ended = AbortSignal.any([interrupt.signal, coordinator.lost]);
      try {
        process.stdout.write(`coordinator at ${coordinator.address}\n${coordinator.httpUrl === undefined ? '' : `page at ${coordinator.httpUrl}\n`}`);
        if (!ended.aborted) await once(ended, 'abort');
        coordinator.lost.throwIfAborted();
      } finally {
        await coordinator.close();
        interrupt.dispose();
        if (process.connected) process.disconnect();
      }
    });
}

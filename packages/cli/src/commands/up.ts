import { once } from 'node:events';
import { Command } from 'commander';
import { listenForInterrupt } from '../cluster/interrupt.js';
import { LocalCluster } from '../cluster/local-cluster.js';
import { certsOption, insecureListenOption } from '../connection.js';
import { requireAssets, submit } from '../distil.js';
import { followRun, SUBMITTED } from '../follow-run.js';
import { providerOption, maxRunsOption, minWorkersOption, queueSettings, redisOptions, setOption, teacherWorkersOption, wholeNumber, workersFor, type Provider, type QueueSettings } from '../options.js';
import { httpOptions, httpPortOption, noHttpOption, USUAL_PORT, type PageSettings } from '../page.js';
import { LiveOutput } from '../render/live-output.js';
import { describeOutcome } from '../render/run-outcome.js';
import { INTERRUPTED } from '../exit-codes.js';
import { readSpecFile } from '../spec-file.js';
import { overridesOf } from './train.js';
import { COORDINATOR_PORT } from '../server-address.js';

interface UpOptions extends QueueSettings, PageSettings {
  readonly workers: number;
  readonly teacherWorkers?: number;
  readonly threads?: number;
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly certs?: string;
  readonly insecure: boolean;
  readonly set: readonly string[];
  readonly provider?: Provider;
}

/** `dd2 up` */
export function upCommand(): Command {
  const command = new Command('up')
    .description('a cluster on this machine that stays up; with a run spec, a run on it')
    .argument('[spec]', 'run spec (YAML) to submit')
    .option('--workers <number>', 'worker processes', wholeNumber(1), 1)
    .addOption(teacherWorkersOption())
    .option('--threads <number>', "threads of one graph execution (default: the run spec's, else 1)", wholeNumber(1))
    .option('--data-dir <folder>', 'holds runs/<id>/', '.dd2')
    .option('--host <address>', 'interface to listen on', '127.0.0.1')
    .option('--port <number>', 'port of the coordinator; 0 picks a free one', wholeNumber(0), COORDINATOR_PORT)
    .addOption(httpPortOption(USUAL_PORT))
    .addOption(noHttpOption())
    .addOption(certsOption())
    .addOption(insecureListenOption())
    .addOption(minWorkersOption())
    .addOption(maxRunsOption())
    .addOption(setOption())
    .addOption(providerOption("execution provider (default: the run spec's, else cpu)"))
    .addHelpText('after', '\nRuns of the data folder that are not done go on. Ctrl-C stops it after a checkpoint of each run; the next `dd2 up` takes them up again.\n\nExamples:\n  dd2 up --workers 2\n  dd2 up configs/mnist.yaml')
    .action(async (file: string | undefined, options: UpOptions, command: Command) => {
      const { verbose = false } = command.optsWithGlobals<{ verbose?: boolean }>();
      const specFile = file === undefined ? undefined : readSpecFile(file, overridesOf(options));
      if (specFile) await requireAssets(specFile);
      const queue = queueSettings(options);
      const output = new LiveOutput(process.stdout);
      const interrupt = listenForInterrupt(() => process.exit(INTERRUPTED));
      const cluster = await LocalCluster.start({
        dataDir: options.dataDir,
        ...(specFile ? workersFor(specFile.spec, options) : { workers: options.workers, teacherWorkers: options.teacherWorkers ?? 0 }),
        execution: { provider: options.provider ?? specFile?.spec.execution.provider ?? 'cpu', intraOpThreads: options.threads ?? specFile?.spec.execution.intraOpThreads ?? 1 },
        host: options.host,
        port: options.port,
        http: httpOptions(options),
        certs: options.certs,
        insecure: options.insecure,
        queue,
        resumeRuns: true,
        output,
        verbose,
      });
      const ended = AbortSignal.any([interrupt.signal, cluster.failed]);
      try {
        output.line(`coordinator at ${cluster.address}, ${options.workers} ${options.workers === 1 ? 'worker' : 'workers'}`);
        cluster.showPage();
        if (specFile && !ended.aborted) {
          const shownFrom = new Date();
          const { runId } = await submit(cluster.client, specFile);
          output.line(`run ${runId}`);
          await followRun(cluster.client, runId, { output, shownFrom, since: SUBMITTED, signal: ended }).then(
            (run) => output.line(describeOutcome(run)),
            (thrown: unknown) => {
              if (!ended.aborted) throw thrown;
            },
          );
        }
        if (!ended.aborted) await once(ended, 'abort');
        cluster.failed.throwIfAborted();
      } finally {
        await cluster.close();
        interrupt.dispose();
      }
    });
  for (const option of redisOptions()) command.addOption(option);
  return command;
}

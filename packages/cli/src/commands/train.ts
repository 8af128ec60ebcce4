import { RunState } from '@dd2/proto';
import { Command } from 'commander';
import { listenForInterrupt } from '../cluster/interrupt.js';
import { LocalCluster } from '../cluster/local-cluster.js';
import { distil, requireAssets } from '../distil.js';
import { providerOption, setOption, teacherWorkersOption, wholeNumber, workersFor, type Provider } from '../options.js';
import { httpOptions, httpPortOption, noHttpOption, USUAL_PORT, type PageSettings } from '../page.js';
import { LiveOutput } from '../render/live-output.js';
import { describeOutcome } from '../render/run-outcome.js';
import { INTERRUPTED } from '../exit-codes.js';
import { readSpecFile } from '../spec-file.js';

interface TrainOptions extends PageSettings {
  readonly workers: number;
  readonly teacherWorkers?: number;
  readonly dataDir: string;
  readonly untilUpdate?: number;
  readonly set: readonly string[];
  readonly provider?: Provider;
}

/** `dd2 train` */
export function trainCommand(): Command {
  return new Command('train')
    .description('distil: advance one run to its end with a coordinator and workers on this machine')
    .argument('<spec>', 'run spec (YAML)')
    .option('--workers <number>', 'worker processes', wholeNumber(1), 1)
    .addOption(teacherWorkersOption())
    .option('--data-dir <folder>', 'holds runs/<id>/', '.dd2')
    .option('--until-update <number>', 'pause with a checkpoint after this many updates', wholeNumber(1))
    .addOption(httpPortOption(USUAL_PORT))
    .addOption(noHttpOption())
    .addOption(setOption())
    .addOption(providerOption('execution provider; short for --set execution.provider=NAME'))
    .addHelpText(
      'after',
      `
The same spec in the same data folder is the same run: a run that was paused, killed or that failed goes on from its newest checkpoint.
Ctrl-C pauses it after the current update with a checkpoint (exit code 130); a second one ends at once.
Other runs of the data folder stay as they are.

Examples:
  dd2 train configs/mnist.yaml --workers 2
  dd2 train configs/mnist.yaml --set seed=1 --set phases.distill.generatorUpdates=100`,
    )
    .action(async (file: string, options: TrainOptions, command: Command) => {
      const { verbose = false } = command.optsWithGlobals<{ verbose?: boolean }>();
      const specFile = readSpecFile(file, overridesOf(options));
      await requireAssets(specFile);
      const output = new LiveOutput(process.stdout);
      const interrupt = listenForInterrupt(() => process.exit(INTERRUPTED));
      const cluster = await LocalCluster.start({ dataDir: options.dataDir, ...workersFor(specFile.spec, options), http: httpOptions(options), resumeRuns: false, output, verbose });
      try {
        cluster.showPage();
        const run = await distil(cluster, { specFile, untilUpdate: options.untilUpdate, output, interrupted: interrupt.signal });
        output.line(describeOutcome(run));
        if (run.state === RunState.PAUSED) output.line('the same command goes on from here');
        if (interrupt.signal.aborted && run.state !== RunState.COMPLETED) process.exitCode = INTERRUPTED;
      } finally {
        await cluster.close();
        interrupt.dispose();
      }
    });
}

/** The assignments of `--set` and those that other options stand for. */
export function overridesOf(options: Pick<TrainOptions, 'set' | 'provider'>): string[] {
  return [...options.set, ...(options.provider === undefined ? [] : [`execution.provider=${options.provider}`])];
}

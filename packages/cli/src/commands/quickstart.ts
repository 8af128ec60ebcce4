import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { RunState, type Evaluation } from '@dd2/proto';
import { Command } from 'commander';
import { listenForInterrupt } from '../cluster/interrupt.js';
import { LocalCluster } from '../cluster/local-cluster.js';
import { distil, requireAssets } from '../distil.js';
import { evaluateRun } from '../evaluate-run.js';
import { setOption, wholeNumber, workersFor } from '../options.js';
import { endOf, makeReport, renderReport } from '../quickstart/report.js';
import { readEvaluation, readRunRecords } from '../quickstart/run-records.js';
import { httpOptions, httpPortOption, noHttpOption, type PageSettings } from '../page.js';
import { LiveOutput } from '../render/live-output.js';
import { INTERRUPTED } from '../exit-codes.js';
import { readSpecFile, type SpecFile } from '../spec-file.js';
import { writeImage } from './sample.js';

interface QuickstartOptions extends PageSettings {
  readonly config: string;
  readonly dataDir: string;
  readonly workers: number;
  readonly set: readonly string[];
}

const defaultConfig = path.relative(process.cwd(), fileURLToPath(new URL('../../../../configs/mnist.yaml', import.meta.url)));

/** `dd2 quickstart` */
export function quickstartCommand(): Command {
  return new Command('quickstart')
    .description('distil a one-step generator for MNIST on this machine, and compare it with its teacher')
    .option('--config <spec>', 'run spec (YAML)', defaultConfig)
    .option('--data-dir <folder>', 'holds the run, report.json and samples.png', '.dd2/quickstart')
    .option('--workers <number>', 'worker processes', wholeNumber(1), 2)
    .addOption(httpPortOption('none'))
    .addOption(noHttpOption())
    .addOption(setOption())
    .addHelpText('after', '\nPaused with Ctrl-C it goes on where it was.\n\nExample:\n  dd2 quickstart --config configs/mnist-pure.yaml --data-dir .dd2/pure --set seed=1')
    .action(async (options: QuickstartOptions, command: Command) => {
      const { verbose = false } = command.optsWithGlobals<{ verbose?: boolean }>();
      const specFile = readSpecFile(options.config, options.set);
      await requireAssets(specFile);
      const output = new LiveOutput(process.stdout);
      const interrupt = listenForInterrupt(() => process.exit(INTERRUPTED));
      const cluster = await LocalCluster.start({ dataDir: options.dataDir, ...workersFor(specFile.spec, options), http: options.httpPort === undefined ? undefined : httpOptions(options), resumeRuns: false, output, verbose });
      cluster.showPage();
      let closed = false;
      try {
        const { runId, state } = await distil(cluster, { specFile, output, interrupted: interrupt.signal });
        if (state !== RunState.COMPLETED) {
          output.line('paused; the same command goes on from here');
          process.exitCode = interrupt.signal.aborted ? INTERRUPTED : 1;
          return;
        }
        const evaluationStarted = performance.now();
        const evaluations = await measureAll(cluster, runId, specFile, output, AbortSignal.any([interrupt.signal, cluster.failed])).catch((error: unknown) => {
          cluster.failed.throwIfAborted();
          if (!interrupt.signal.aborted) throw error;
          return undefined;
        });
        if (!evaluations) {
          output.line('paused; the same command goes on from here');
          process.exitCode = INTERRUPTED;
          return;
        }
        const evaluateSeconds = (performance.now() - evaluationStarted) / 1_000;
        // The workers' processors are needed for measuring the sampling alone.
        await cluster.close();
        closed = true;
        await writeReport(options, specFile, runId, evaluations, evaluateSeconds, output);
      } finally {
        if (!closed) await cluster.close();
        interrupt.dispose();
      }
    });
}

/** The references, the generator of the last checkpoint, and its combinations with the teacher. */
async function measureAll(cluster: LocalCluster, runId: string, specFile: SpecFile, output: LiveOutput, signal: AbortSignal): Promise<Evaluation[]> {
  const { openBundle, readReference } = await import('@dd2/assets');
  const { count } = await readReference(await openBundle(path.resolve(specFile.folder, specFile.spec.assets)));
  const multiStep = specFile.spec.evaluation.multiStep.map((keep) => `multi-step-${keep}`);
  return [
    ...(await evaluateRun(cluster.client, { runId, samplers: ['reconstruction'], samples: count }, output, signal)),
    ...(await evaluateRun(cluster.client, { runId, samplers: ['teacher', 'naive', 'one-step', ...multiStep] }, output, signal)),
  ];
}

async function writeReport(options: QuickstartOptions, { spec }: SpecFile, runId: string, evaluations: readonly Evaluation[], evaluateSeconds: number, output: LiveOutput): Promise<void> {
  const { dataDir, config } = options;
  const folder = path.join(dataDir, 'runs', runId);
  const recorded = async (phase: string) => {
    const update = endOf(phase, spec);
    return update === undefined ? undefined : readEvaluation(folder, update);
  };
  const [{ sampleImages }, { samplingTime }] = await Promise.all([import('../sample-images.js'), import('../quickstart/sampling-time.js')]);
  const sampled = await sampleImages({ dataDir, runId, sampler: { kind: 'one-step' }, count: 100, seed: 1 });
  const grid = path.join(dataDir, 'samples.png');
  await writeImage(grid, sampled.png);
  const report = makeReport({
    runId,
    config,
    spec,
    evaluations,
    beforeDistill: await recorded('tune'),
    afterRegress: await recorded('regress'),
    records: await readRunRecords(folder),
    sampling: {
      oneStepMsPerImage: await samplingTime({ dataDir, runId, sampler: { kind: 'one-step' } }),
      teacherMsPerImage: await samplingTime({ dataDir, runId, sampler: { kind: 'teacher' } }),
    },
    seconds: { evaluate: evaluateSeconds, total: performance.now() / 1_000, ...bootstrapSeconds() },
  });
  const file = path.join(dataDir, 'report.json');
  await writeFile(file, `${JSON.stringify(report, undefined, 2)}\n`);
  output.line(`\n${renderReport(report)}\n\nwrote ${file} and ${grid}`);
}

/** What `npm run quickstart` took before this process was started. */
function bootstrapSeconds(): Record<string, number> {
  const { DD2_INSTALL_SECONDS: install, DD2_BUILD_SECONDS: build } = process.env;
  return { ...(install === undefined ? {} : { install: Number(install) }), ...(build === undefined ? {} : { build: Number(build) }) };
}

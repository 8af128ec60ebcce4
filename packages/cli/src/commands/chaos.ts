import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Dd2Error } from '@dd2/core';
import { Command, InvalidArgumentError, Option } from 'commander';
import { faultTargets, type FaultTarget } from '../chaos/fault-plan.js';
import { killLoop } from '../chaos/kill-loop.js';
import { isInstalled, REDIS_PROGRAM } from '../chaos/redis-process.js';
import { renderKillLoop } from '../chaos/render-report.js';
import { listenForInterrupt } from '../cluster/interrupt.js';
import { requireAssets } from '../distil.js';
import { positiveNumber, setOption, wholeNumber } from '../options.js';
import { LiveOutput } from '../render/live-output.js';
import { INTERRUPTED } from '../exit-codes.js';
import { readSpecFile } from '../spec-file.js';

interface ChaosOptions {
  readonly minutes: number;
  readonly mtbf: number;
  readonly seed: number;
  readonly targets?: readonly FaultTarget[];
  readonly workers: number;
  readonly spec: string;
  readonly set: readonly string[];
  readonly json?: string;
  readonly dataDir?: string;
}

const defaultSpec = path.relative(process.cwd(), fileURLToPath(new URL('../../../../configs/chaos.yaml', import.meta.url)));

/** `dd2 chaos` */
export function chaosCommand(): Command {
  return new Command('chaos')
    .description('kill processes of a real cluster on this machine at random, and compare the results with those of an undisturbed one')
    .option('--minutes <number>', 'how long faults happen', positiveNumber, 10)
    .option('--mtbf <seconds>', 'mean time between faults', positiveNumber, 5)
    .option('--seed <number>', 'decides when which process is struck, and how', wholeNumber(0), 0)
    .addOption(new Option('--targets <names>', `what is struck, separated by commas: ${faultTargets.join(', ')} (default: all; without ${REDIS_PROGRAM} on this machine all but store)`).argParser(targets))
    .option('--workers <number>', 'worker processes', wholeNumber(1), 2)
    .option('--spec <file>', 'run spec (YAML); its seed and the next two take turns', defaultSpec)
    .addOption(setOption())
    .option('--json <file>', 'write every fault, every run and the recovery times there')
    .option('--data-dir <folder>', 'keep run folders and logs there (default: a temporary folder, kept when something went wrong)')
    .addHelpText(
      'after',
      `
Processes are killed; one in four is frozen for one to four seconds instead, and then goes on or is killed. A store that is struck is
a Redis server of the loop's own, and loses its files one time in four; without the target store the queues are kept in the data
folder. Recovery is measured from the fault to the next commit. Exit code 1 when a run is lost or ends with another checkpoint hash
or FID than undisturbed.

Example:
  dd2 chaos --minutes 10 --mtbf 5 --json chaos.json`,
    )
    .action(async (options: ChaosOptions) => {
      const specFile = readSpecFile(options.spec, options.set);
      const struck = requireTargets(options.targets);
      await requireAssets(specFile);
      if (options.dataDir !== undefined) await mkdir(options.dataDir, { recursive: true });
      const dataDir = path.resolve(options.dataDir ?? (await mkdtemp(path.join(tmpdir(), 'dd2-chaos-'))));
      const output = new LiveOutput(process.stdout);
      const interrupt = listenForInterrupt(() => process.exit(INTERRUPTED));
      let identical = false;
      try {
        output.line(`${options.minutes} min of faults on ${struck.join(', ')}, seed ${options.seed}; ${options.workers} workers, run folders and logs in ${dataDir}`);
        const report = await killLoop({ ...options, specFile, targets: struck, mtbfSeconds: options.mtbf, dataDir, output, signal: interrupt.signal });
        output.line(`\n${renderKillLoop(report)}`);
        if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
        identical = report.identical;
        if (!identical) process.exitCode = 1;
      } catch (thrown) {
        if (!interrupt.signal.aborted) throw thrown;
        process.exitCode = INTERRUPTED;
      } finally {
        interrupt.dispose();
        if (options.dataDir === undefined && (identical || interrupt.signal.aborted)) await rm(dataDir, { recursive: true, force: true });
      }
    });
}

function targets(text: string): FaultTarget[] {
  return text.split(',').map((name) => {
    const target = faultTargets.find((known) => known === name.trim());
    if (target === undefined) throw new InvalidArgumentError(`Targets are ${faultTargets.join(', ')}.`);
    return target;
  });
}

/** @throws {Dd2Error} INVALID_ARGUMENT when the store is to be struck and there is none to start */
function requireTargets(chosen: readonly FaultTarget[] | undefined): readonly FaultTarget[] {
  const redis = isInstalled(REDIS_PROGRAM);
  if (chosen === undefined) return faultTargets.filter((target) => target !== 'store' || redis);
  if (chosen.includes('store') && !redis) {
    throw new Dd2Error('INVALID_ARGUMENT', `the store that is struck is a Redis server, and there is no ${REDIS_PROGRAM} on this machine`, {
      field: '--targets',
      remedy: 'Install it (Debian: apt-get install redis-server), or use --targets worker,coordinator',
    });
  }
  return chosen;
}

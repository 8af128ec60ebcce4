import { randomUUID } from 'node:crypto';
import { Dd2Error } from '@dd2/core';
import { RunState, type Run } from '@dd2/proto';
import { Command } from 'commander';
import { submit } from '../distil.js';
import { followRun, requireNotFailed } from '../follow-run.js';
import { collect, serverOption, setOption, wholeNumber } from '../options.js';
import { formatCount, formatFid } from '../render/format.js';
import { LiveOutput } from '../render/live-output.js';
import { describeOutcome, stateName } from '../render/run-outcome.js';
import { renderTable } from '../render/table.js';
import { withRunClient } from '../run-client.js';
import { readSpecFile } from '../spec-file.js';

/** `dd2 run submit|watch|show|list|stop|cancel`: what people ask a coordinator that runs elsewhere. */
export function runCommand(): Command {
  const command = new Command('run').description('submit, watch and stop the runs of a coordinator');
  for (const subcommand of [submitCommand(), watchCommand(), showCommand(), listCommand(), stopCommand(), cancelCommand()]) command.addCommand(subcommand);
  return command;
}

interface Server {
  readonly server: string;
}

function submitCommand(): Command {
  return new Command('submit')
    .description('queue a run and print its id')
    .argument('<spec>', 'run spec (YAML)')
    .addOption(setOption())
    .option('--until-update <number>', 'stop with a checkpoint after this many updates', wholeNumber(1))
    .option('--new', 'a run of its own, even if the same spec was submitted before', false)
    .option('--base-path <folder>', "folder on the coordinator's machine that the spec's relative paths start from (default: the spec's)")
    .addOption(serverOption())
    .addHelpText('after', '\nThe same spec again is the same run, continued where it stopped.\n\nExample:\n  dd2 run submit configs/mnist.yaml --set seed=3')
    .action(async (file: string, options: Server & { set: readonly string[]; untilUpdate?: number; new: boolean; basePath?: string }) => {
      const specFile = readSpecFile(file, options.set);
      const placed = options.basePath === undefined ? specFile : { ...specFile, folder: options.basePath };
      const key = options.new ? randomUUID() : undefined;
      const run = await withRunClient(options.server, (client) => submit(client, placed, options.untilUpdate, key));
      process.stdout.write(`${run.runId}\n`);
    });
}

function watchCommand(): Command {
  return new Command('watch')
    .description("show a run's events until it ends")
    .argument('<run>', 'run id')
    .addOption(serverOption())
    .action(async (runId: string, { server }: Server) => {
      const output = new LiveOutput(process.stdout);
      const run = await withRunClient(server, (client) => followRun(client, runId, { output }));
      requireNotFailed(run);
      output.line(describeOutcome(run));
    });
}

function showCommand(): Command {
  return new Command('show')
    .description('where a run stands')
    .argument('<run>', 'run id')
    .option('--json', 'print JSON', false)
    .addOption(serverOption())
    .action(async (runId: string, { server, json }: Server & { json: boolean }) => {
      const { run } = await withRunClient(server, (client) => client.getRun({ runId }));
      if (run === undefined) throw new Dd2Error('PROTOCOL', 'the coordinator answered without the run');
      process.stdout.write(`${json ? JSON.stringify(toPlain(run), undefined, 2) : describe(run)}\n`);
    });
}

function listCommand(): Command {
  const states = Object.values(RunState).filter((state): state is RunState => typeof state === 'number' && state !== RunState.UNSPECIFIED);
  return new Command('list')
    .description('all runs, newest first')
    .option('--state <name>', `only runs in this state, repeatable: ${states.map(stateName).join(', ')}`, collect)
    .addOption(serverOption())
    .action(async ({ server, state: names = [] }: Server & { state?: readonly string[] }) => {
      const wanted = names.map((name) => {
        const state = states.find((known) => stateName(known) === name);
        if (state === undefined) throw new Dd2Error('INVALID_ARGUMENT', `there is no state "${name}"`, { field: '--state', remedy: `Use ${states.map(stateName).join(', ')}` });
        return state;
      });
      const { runs } = await withRunClient(server, (client) => client.listRuns({ states: wanted }));
      const rows = runs.map((run) => [run.runId, stateName(run.state), run.phase, `${formatCount(run.update)}/${formatCount(run.totalUpdates)}`, fid(run.lastFid, run), run.bestFid?.toFixed(2) ?? '']);
      const columns = [{ title: 'run' }, { title: 'state' }, { title: 'phase' }, { title: 'updates', align: 'right' }, { title: 'last FID', align: 'right' }, { title: 'best FID', align: 'right' }] as const;
      process.stdout.write(`${renderTable(columns, rows)}\n`);
    });
}

function stopCommand(): Command {
  return new Command('stop')
    .description('end a run after its update with a checkpoint; it can be continued')
    .argument('<run>', 'run id')
    .addOption(serverOption())
    .action(async (runId: string, { server }: Server) => printState(await withRunClient(server, (client) => client.stopRun({ runId }))));
}

function cancelCommand(): Command {
  return new Command('cancel')
    .description('end a run for good, at once; its last checkpoint stays')
    .argument('<run>', 'run id')
    .addOption(serverOption())
    .action(async (runId: string, { server }: Server) => printState(await withRunClient(server, (client) => client.cancelRun({ runId }))));
}

function printState({ run }: { readonly run?: Run | undefined }): void {
  if (run) process.stdout.write(`${run.runId} ${stateName(run.state)}\n`);
}

function describe(run: Run): string {
  const rows = [
    ['run', run.runId],
    ['state', stateName(run.state)],
    ['phase', run.phase],
    ['updates', `${formatCount(run.update)} of ${formatCount(run.totalUpdates)}, ${formatCount(run.generatorUpdates)} generator updates`],
    ['last FID', fid(run.lastFid, run)],
    ['best FID', run.bestFid?.toFixed(2) ?? ''],
    ['error', run.error ? `${run.error.code}: ${run.error.message}` : ''],
  ];
  return rows.flatMap(([name = '', value = '']) => (value === '' ? [] : [`${name.padEnd(9)} ${value}`])).join('\n');
}

/** A run as JSON: the fields of the wire, with names and times as people write them. */
function toPlain(run: Run): object {
  const { runId, name, phase, update, totalUpdates, generatorUpdates, lastFid, bestFid, fidSamples, error } = run;
  const time = (at: Run['createdAt']): string | undefined => at && new Date(Number(at.seconds) * 1_000 + at.nanos / 1e6).toISOString();
  return {
    runId,
    name,
    state: stateName(run.state),
    phase,
    update,
    totalUpdates,
    generatorUpdates,
    lastFid,
    bestFid,
    fidSamples,
    createdAt: time(run.createdAt),
    updatedAt: time(run.updatedAt),
    error: error && { code: error.code, message: error.message, field: error.field, remedy: error.remedy },
  };
}

const fid = (value: number | undefined, { fidSamples }: Run): string => (value === undefined ? '' : formatFid(value, fidSamples));

import { Dd2Error } from '@dd2/core';
import { RunState } from '@dd2/proto';
import type { Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import { collect } from '../options.js';
import { describeRun, plainRun, renderRuns } from '../render/run-table.js';
import { stateName } from '../render/run-outcome.js';
import { withRunClient } from '../run-client.js';

/** `dd2 run show` */
export function showCommand(): Command {
  return clientCommand('show')
    .description('where a run stands')
    .argument('<run>', 'run id')
    .option('--json', 'print JSON', false)
    .action(async (runId: string, { json, ...options }: ServerOptions & { json: boolean }) => {
      const { run } = await withRunClient(options, (client) => client.getRun({ runId }));
      if (run === undefined) throw new Dd2Error('PROTOCOL', 'the coordinator answered without the run');
      process.stdout.write(`${json ? JSON.stringify(plainRun(run), undefined, 2) : describeRun(run)}\n`);
    });
}

/** `dd2 run list` */
export function listCommand(): Command {
  const states = Object.values(RunState).filter((state): state is RunState => typeof state === 'number' && state !== RunState.UNSPECIFIED);
  return clientCommand('list')
    .description('all runs, newest first')
    .option('--state <name>', `only runs in this state, repeatable: ${states.map(stateName).join(', ')}`, collect)
    .option('--json', 'print JSON', false)
    .action(async ({ json, state: names = [], ...options }: ServerOptions & { json: boolean; state?: readonly string[] }) => {
      const wanted = names.map((name) => {
        const state = states.find((known) => stateName(known) === name);
        if (state === undefined) throw new Dd2Error('INVALID_ARGUMENT', `there is no state "${name}"`, { field: '--state', remedy: `Use ${states.map(stateName).join(', ')}` });
        return state;
      });
      const { runs } = await withRunClient(options, (client) => client.listRuns({ states: wanted }));
      process.stdout.write(`${json ? JSON.stringify(runs.map(plainRun), undefined, 2) : renderRuns(runs)}\n`);
    });
}

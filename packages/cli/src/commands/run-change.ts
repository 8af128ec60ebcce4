import type { Run } from '@dd2/proto';
import type { Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import { print, printJson } from '../print.js';
import { plainRun } from '../render/plain.js';
import { stateName } from '../render/run-outcome.js';
import { withRunClient, type RunClient } from '../run-client.js';

/** A command that changes where a run stands, and prints where it stands then. */
function changeCommand(name: string, description: string, call: (client: RunClient, runId: string) => Promise<{ readonly run?: Run | undefined }>): Command {
  return clientCommand(name)
    .description(description)
    .argument('<run>', 'run id')
    .option('--json', 'print JSON: the run as it is then', false)
    .action(async (runId: string, { json, ...options }: ServerOptions & { json: boolean }) => {
      const { run } = await withRunClient(options, (client) => call(client, runId));
      if (run === undefined) return;
      if (json) printJson(plainRun(run));
      else print(`${run.runId} ${stateName(run.state)}`);
    });
}

/** `dd2 run pause`, `resume` and `cancel` */
export const changeCommands = (): Command[] => [
  changeCommand('pause', 'end a run after its update with a checkpoint, or take it out of the queue; it can be resumed', (client, runId) => client.pauseRun({ runId })),
  changeCommand('resume', 'queue a run that was paused, or that failed, again; it goes on from its newest checkpoint', (client, runId) => client.resumeRun({ runId })),
  changeCommand('cancel', 'end a run for good, at once; its last checkpoint stays', (client, runId) => client.cancelRun({ runId })),
];

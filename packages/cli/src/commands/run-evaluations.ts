import type { Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import { print, printJson, tableOptions } from '../print.js';
import { plainEvaluation, renderEvaluationList } from '../render/evaluation-table.js';
import { withRunClient } from '../run-client.js';

/** `dd2 run evaluations` */
export function evaluationsCommand(): Command {
  return clientCommand('evaluations')
    .description('the evaluations of a run, by update: complete, running, waiting or failed')
    .argument('<run>', 'run id')
    .option('--json', 'print JSON, with all that decides about a figure', false)
    .addHelpText('after', '\nFID with its standard error from the finite number of samples, where it was computed.')
    .action(async (runId: string, { json, ...options }: ServerOptions & { json: boolean }) => {
      const { evaluations } = await withRunClient(options, (client) => client.listEvaluations({ runId }));
      if (json) return printJson(evaluations.map(plainEvaluation));
      print(evaluations.length === 0 ? 'no evaluations yet' : renderEvaluationList(evaluations, tableOptions()));
    });
}

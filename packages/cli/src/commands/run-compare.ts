import type { Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import { print, printJson, tableOptions } from '../print.js';
import { hasUnicode } from '../render/terminal.js';
import { withRunClient, type RunClient } from '../run-client.js';

/** `dd2 run compare` */
export function compareCommand(): Command {
  return clientCommand('compare')
    .description('the FID of two runs side by side, where it was measured the same way')
    .argument('<run>', 'run id')
    .argument('<other>', 'id of the run to compare it with')
    .option('--json', 'print JSON', false)
    .addHelpText(
      'after',
      `
The difference is the second run's FID less the first one's: below 0 the second run is better. FID depends on sampler, number and
classes of the samples, noise, feature network and reference images: figures that differ in one of them are not compared (exit code 6).

Example:
  dd2 run compare mnist-1a2b3c4d mnist-5e6f7a8b`,
    )
    .action(async (runId: string, other: string, { json, ...options }: ServerOptions & { json: boolean }) => {
      const { compareEvaluations, plainComparison, plotComparison, renderComparison } = await import('../render/comparison.js');
      const measured = async (client: RunClient, id: string) => ({ runId: id, evaluations: (await client.listEvaluations({ runId: id })).evaluations });
      const [a, b] = await withRunClient(options, (client) => Promise.all([measured(client, runId), measured(client, other)]));
      const comparison = compareEvaluations(a, b);
      if (json) return printJson(plainComparison(comparison));
      const { width, paint } = tableOptions();
      const plot = plotComparison(comparison, { width, paint, unicode: hasUnicode() });
      print([renderComparison(comparison, { width, paint }), ...(plot.length > 0 ? ['', ...plot] : [])].join('\n'));
    });
}

import type { Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import { withRunClient } from '../run-client.js';

/** `dd2 run compare` */
export function compareCommand(): Command {
  return clientCommand('compare')
    .description('the FID of two runs side by side, where it was measured the same way')
    .argument('<run>', 'run id')
    .argument('<other>', 'id of the run to compare it with')
    .addHelpText(
      'after',
      `
FID depends on sampler, number and classes of the samples, noise, feature network and reference images: figures that differ in one of
them are not compared.

Example:
  dd2 run compare mnist-1a2b3c4d mnist-5e6f7a8b`,
    )
    .action(async (runId: string, other: string, options: ServerOptions) => {
      const { compareEvaluations, renderComparison } = await import('../render/comparison.js');
      const [a, b] = await withRunClient(options, (client) =>
        Promise.all([runId, other].map(async (id) => ({ runId: id, evaluations: (await client.listEvaluations({ runId: id })).evaluations }))),
      );
      if (a && b) process.stdout.write(`${renderComparison(compareEvaluations(a, b))}\n`);
    });
}

import type { Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import { withRunClient } from '../run-client.js';
import { watchRun } from '../watch/watch-run.js';

/** `dd2 run watch` */
export function watchCommand(): Command {
  return clientCommand('watch')
    .description('follow a run until it ends: position, rate, time left, and the FID curve')
    .argument('<run>', 'run id')
    .option('--json', 'print JSON: a line per event, and one for the run as it ended', false)
    .addHelpText(
      'after',
      `
On a terminal the curve is redrawn in place; elsewhere there is a line per event, and the curve at the end. Ctrl-C stops watching
(exit code 130), the run goes on. Exit code 7 when the run failed or was cancelled. NO_COLOR switches colours off.

Example:
  dd2 run watch mnist-1a2b3c4d`,
    )
    .action(async (runId: string, { json, ...options }: ServerOptions & { json: boolean }) => {
      await withRunClient(options, (client) => watchRun(client, runId, { json }));
    });
}

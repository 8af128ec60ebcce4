import type { RunEvent } from '@dd2/proto';
import type { Command } from 'commander';
import { listenForInterrupt } from '../cluster/interrupt.js';
import { clientCommand, type ServerOptions } from '../connection.js';
import { INTERRUPTED } from '../exit-codes.js';
import { wholeNumber } from '../options.js';
import { print } from '../print.js';
import { eventLine } from '../render/event-line.js';
import { plainEvent } from '../render/plain.js';
import { paintFor } from '../render/terminal.js';
import { withRunClient } from '../run-client.js';
import { runEvents } from '../run-events.js';

interface LogsOptions extends ServerOptions {
  readonly follow: boolean;
  readonly since: number;
  readonly limit: number;
  readonly json: boolean;
}

/** The most that a coordinator hands out at once. */
const LIMIT = 1_000;
const PROGRESS = 'progress';

/** `dd2 run logs` */
export function logsCommand(): Command {
  return clientCommand('logs')
    .description('what happened to a run, in plain words; also of one that has ended')
    .argument('<run>', 'run id')
    .option('-f, --follow', 'go on until the run ends', false)
    .option('--since <number>', 'only events after this one; they are numbered from 1', wholeNumber(0), 0)
    .option('--limit <number>', `the newest so many of them, at most ${LIMIT}`, wholeNumber(1), LIMIT)
    .option('--json', 'print JSON: a line per event, with its number', false)
    .addHelpText('after', '\nColumns: when, updates so far, kind of event, what happened.\n\nExamples:\n  dd2 run logs mnist-1a2b3c4d --limit 20\n  dd2 run logs mnist-1a2b3c4d --follow --json')
    .action(async (runId: string, { follow, since, limit, json, ...server }: LogsOptions) => {
      const paint = paintFor(process.stdout);
      const show = (event: RunEvent): void => print(json ? JSON.stringify(plainEvent(event)) : eventLine(event, paint));
      await withRunClient(server, async (client) => {
        const { events } = await client.listRunEvents({ runId, since: BigInt(since), limit: Math.min(limit, LIMIT) });
        const first = Number(events[0]?.sequence ?? since + 1);
        // On stderr: what reads stdout reads events.
        if (!json && first > since + 1) process.stderr.write(`${first - since - 1} earlier events are not shown\n`);
        events.forEach(show);
        if (!follow) return;
        const interrupt = listenForInterrupt(() => process.exit(INTERRUPTED));
        const onLost = (reason: string): void => void process.stderr.write(`connection lost (${reason}); trying again\n`);
        try {
          for await (const event of runEvents(client, runId, { since: events.at(-1)?.sequence ?? BigInt(since), signal: interrupt.signal, onLost })) {
            // Progress is not kept, so it has no place in a history.
            if (event.kind !== PROGRESS) show(event);
          }
        } catch (thrown) {
          if (!interrupt.signal.aborted) throw thrown;
          process.exitCode = INTERRUPTED;
        } finally {
          interrupt.dispose();
        }
      });
    });
}

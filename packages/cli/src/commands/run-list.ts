import { Dd2Error } from '@dd2/core';
import { RunState, type Run } from '@dd2/proto';
import { Option, type Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import { collect, wholeNumber } from '../options.js';
import { print, printJson, tableOptions } from '../print.js';
import { plainRun } from '../render/plain.js';
import { stateName } from '../render/run-outcome.js';
import { renderRuns } from '../render/run-table.js';
import { hasUnicode } from '../render/terminal.js';
import { withRunClient } from '../run-client.js';

const states = Object.values(RunState).filter((state): state is RunState => typeof state === 'number' && state !== RunState.UNSPECIFIED);

/** Ascending; runs that have no such value come last. */
const orders = {
  newest: () => 0,
  name: (a: Run, b: Run) => a.runId.localeCompare(b.runId, 'en'),
  state: (a: Run, b: Run) => a.state - b.state,
  progress: (a: Run, b: Run) => progressOf(b) - progressOf(a),
  fid: (a: Run, b: Run) => ascending(a.bestFid, b.bestFid),
  left: (a: Run, b: Run) => ascending(a.etaSeconds, b.etaSeconds),
} satisfies Record<string, (a: Run, b: Run) => number>;

interface Selection {
  /** part of id or name, whatever the case */
  readonly name?: string | undefined;
  readonly sort: keyof typeof orders;
  readonly reverse: boolean;
  readonly limit?: number | undefined;
}

interface ListOptions extends ServerOptions, Selection {
  readonly json: boolean;
  readonly state?: readonly string[];
}

/** `dd2 run list` */
export function listCommand(): Command {
  return clientCommand('list')
    .description('all runs, newest first')
    .option('--state <name>', `only runs in this state, repeatable: ${states.map(stateName).join(', ')}`, collect)
    .option('--name <text>', 'only runs whose id or name has this text')
    .addOption(new Option('--sort <order>', 'newest; name; state; progress, the furthest first; fid, the best first; left, the shortest time first').choices(Object.keys(orders)).default('newest'))
    .option('--reverse', 'the other way round', false)
    .option('--limit <number>', 'at most so many', wholeNumber(1))
    .option('--json', 'print JSON', false)
    .addHelpText('after', '\nColumns that do not fit the terminal are left out; `dd2 run show RUN` tells everything.\n\nExamples:\n  dd2 run list --state running --state queued\n  dd2 run list --name mnist --sort fid --limit 5')
    .action(async ({ json, state: names = [], name, sort, reverse, limit, ...options }: ListOptions) => {
      const wanted = names.map((stated) => {
        const state = states.find((known) => stateName(known) === stated);
        if (state === undefined) throw new Dd2Error('INVALID_ARGUMENT', `there is no state "${stated}"`, { field: '--state', remedy: `Use ${states.map(stateName).join(', ')}` });
        return state;
      });
      const { runs } = await withRunClient(options, (client) => client.listRuns({ states: wanted }));
      const found = selectRuns(runs, { name, sort, reverse, limit });
      if (json) return printJson(found.map(plainRun));
      if (found.length === 0) return print(runs.length === 0 && wanted.length === 0 ? 'no runs yet; `dd2 run submit SPEC` queues one' : 'no such runs');
      print(renderRuns(found, { ...tableOptions(), unicode: hasUnicode() }));
    });
}

/** The runs that were asked for, in the order that was asked for; equal ones stay newest first. */
export function selectRuns(runs: readonly Run[], { name, sort, reverse, limit }: Selection): Run[] {
  const text = name?.toLowerCase();
  const found = runs.filter((run) => text === undefined || run.runId.toLowerCase().includes(text) || run.name.toLowerCase().includes(text)).sort(orders[sort]);
  if (reverse) found.reverse();
  return found.slice(0, limit);
}

const ascending = (a = Infinity, b = Infinity): number => (a === b ? 0 : a - b);
const progressOf = ({ update, totalUpdates }: Run): number => (totalUpdates === 0 ? 0 : update / totalUpdates);

import { checkRunSpec, Dd2Error, totalUpdates, type RunSpec, type SpecProblem } from '@dd2/core';
import type { Command } from 'commander';
import { clientCommand, isElsewhere, type ServerOptions } from '../connection.js';
import { exitCodeOf } from '../exit-codes.js';
import { setOption } from '../options.js';
import { print, printJson } from '../print.js';
import { formatCount } from '../render/format.js';
import { LiveOutput } from '../render/live-output.js';
import { printable } from '../render/text.js';
import { withRunClient, type RunClient } from '../run-client.js';
import { readSpecText, STDIN, type SpecFile } from '../spec-file.js';

interface ValidateOptions extends ServerOptions {
  readonly set: readonly string[];
  readonly remote: boolean;
  readonly basePath?: string;
  readonly json: boolean;
}

interface Verdict {
  readonly problems: readonly SpecProblem[];
  /** 0 when there are problems */
  readonly totalUpdates: number;
}

/** `dd2 run validate` */
export function validateCommand(): Command {
  return clientCommand('validate')
    .description('everything that is wrong with a run spec, by line; submits nothing')
    .argument('<spec>', 'run spec (YAML), - for standard input')
    .addOption(setOption())
    .option('--remote', 'ask the coordinator, which also looks at the assets that the spec names; one elsewhere gets them sent', false)
    .option('--base-path <folder>', "with --remote: folder on the coordinator's machine that the spec's relative paths start from (default: the spec's)")
    .option('--json', 'print JSON: problems, and the updates of the whole run', false)
    .addHelpText('after', '\nPrints FILE:LINE: what is wrong (field). what to do. Exit code 2 when something is.\n\nExample:\n  dd2 run validate configs/mnist.yaml --set seed=-1')
    .action(async (file: string, { set, remote, basePath, json, ...server }: ValidateOptions) => {
      const { text, folder } = readSpecText(file);
      const verdict = remote ? await askCoordinator(server, { text, overrides: set, folder }, basePath) : checkHere(text, set);
      if (verdict.problems.length > 0) process.exitCode = exitCodeOf(new Dd2Error('INVALID_SPEC', ''));
      if (json) return printJson({ valid: verdict.problems.length === 0, ...verdict });
      const name = file === STDIN ? '<stdin>' : file;
      if (verdict.problems.length === 0) return print(`${name}: a run spec of ${formatCount(verdict.totalUpdates)} updates, nothing is wrong with it`);
      for (const problem of verdict.problems) print(describeProblem(name, problem));
    });
}

function checkHere(text: string, overrides: readonly string[]): Verdict {
  const checked: { readonly spec?: RunSpec; readonly problems?: readonly SpecProblem[] } = checkRunSpec(text, overrides);
  return { problems: checked.problems ?? [], totalUpdates: checked.spec ? totalUpdates(checked.spec) : 0 };
}

type Unchecked = Pick<SpecFile, 'text' | 'overrides' | 'folder'>;

async function askCoordinator(server: ServerOptions, file: Unchecked, basePath: string | undefined): Promise<Verdict> {
  return withRunClient(server, async (client) => {
    const placed = basePath !== undefined ? { ...file, folder: basePath } : isElsewhere(server.server) ? await placedElsewhere(client, file) : file;
    if ('problems' in placed) return placed;
    const { problems, totalUpdates: total } = await client.validateRunSpec({ specYaml: placed.text, overrides: [...placed.overrides], basePath: placed.folder });
    return { problems: problems.map(({ field, message, remedy, line }) => ({ field, message, remedy, line })), totalUpdates: total };
  });
}

/** The spec with its assets on the coordinator; what is wrong with those here is a problem of the spec. */
async function placedElsewhere(client: RunClient, file: Unchecked): Promise<Unchecked | Verdict> {
  const checked = checkRunSpec(file.text, file.overrides);
  if (!('spec' in checked)) return { ...file, folder: '' };
  try {
    const { placeAssets } = await import('../assets/place-assets.js');
    return await placeAssets(client, { ...file, spec: checked.spec }, new LiveOutput(process.stderr));
  } catch (thrown) {
    const { code, problem, remedy = '' } = Dd2Error.from(thrown);
    if (code !== 'ASSET_MISSING' && code !== 'ASSET_CORRUPT') throw thrown;
    const line = file.text.split('\n').findIndex((text) => text.startsWith('assets:')) + 1;
    return { problems: [{ field: 'assets', message: problem, remedy, line }], totalUpdates: 0 };
  }
}

/** `mnist.yaml:12: unknown field "stepz" (phases.tune.stepz). Remove it`: what editors and CI systems find the place by. */
export function describeProblem(file: string, { line, field, message, remedy }: SpecProblem): string {
  return printable(`${file}${line > 0 ? `:${line}` : ''}: ${message} (${field})${remedy === '' ? '' : `. ${remedy}`}`);
}

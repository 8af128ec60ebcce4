import type { Argument, Command, Option } from 'commander';

/** One word that could stand where the cursor is. */
export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** What could stand where the cursor is: words, and where the shell knows more than this program, files or folders. */
export interface Completion {
  readonly candidates: readonly Candidate[];
  readonly paths: 'none' | 'files' | 'folders';
}

/** Ids of the runs that a command line could mean; never rejects. */
export type FindRunIds = (command: Command, words: readonly string[]) => Promise<readonly Candidate[]>;

const NOTHING: Completion = { candidates: [], paths: 'none' };
const SAMPLERS = ['one-step', 'teacher', 'naive', 'reconstruction', 'multi-step-8'];

/** Values that commander does not know of, by option. */
const values: Readonly<Record<string, readonly string[]>> = {
  '--state': ['queued', 'running', 'pausing', 'paused', 'completed', 'failed', 'cancelled'],
  '--sampler': SAMPLERS,
  '--targets': ['worker', 'coordinator', 'store'],
};

/**
 * Completes a command line.
 * @param words after the name of the program, up to the cursor; the last one is what is being written, perhaps empty
 */
export async function complete(program: Command, words: readonly string[], findRunIds: FindRunIds): Promise<Completion> {
  const before = words.slice(0, -1);
  const current = words.at(-1) ?? '';
  const place = walk(program, before);
  if (place.awaiting) return valuesOf(place.awaiting, place.command, before, '', current, findRunIds);
  if (!place.onlyOperands && current.startsWith('-')) {
    const [name = '', ...rest] = current.split('=');
    const option = rest.length > 0 ? findOption(place.command, name) : undefined;
    if (option && takesValue(option)) return valuesOf(option, place.command, before, `${name}=`, rest.join('='), findRunIds);
    return { candidates: matching(optionsOf(place.command, before), current), paths: 'none' };
  }
  const subcommands = place.operands === 0 ? visibleCommands(place.command) : [];
  const argument = place.command.registeredArguments[Math.min(place.operands, place.command.registeredArguments.length - 1)];
  const taken = argument !== undefined && (argument.variadic || place.operands < place.command.registeredArguments.length);
  const ofArgument = taken ? await argumentValues(argument, place.command, before, findRunIds) : NOTHING;
  return { candidates: matching([...subcommands, ...ofArgument.candidates], current), paths: ofArgument.paths };
}

interface Place {
  readonly command: Command;
  /** operands of the command so far */
  readonly operands: number;
  /** an option whose value comes next */
  readonly awaiting: Option | undefined;
  /** after `--` */
  readonly onlyOperands: boolean;
}

/** Follows a command line as far as it is written. */
function walk(program: Command, words: readonly string[]): Place {
  let command = program;
  let operands = 0;
  let awaiting: Option | undefined;
  let onlyOperands = false;
  for (const word of words) {
    if (awaiting) {
      awaiting = undefined;
    } else if (!onlyOperands && word === '--') {
      onlyOperands = true;
    } else if (!onlyOperands && word.startsWith('-') && word !== '-') {
      const option = word.includes('=') ? undefined : findOption(command, word);
      if (option && takesValue(option)) awaiting = option;
    } else {
      const subcommand = operands === 0 ? command.commands.find((one) => one.name() === word || one.aliases().includes(word)) : undefined;
      if (subcommand) command = subcommand;
      else operands += 1;
    }
  }
  return { command, operands, awaiting, onlyOperands };
}

const takesValue = (option: Option): boolean => option.required || option.optional;

function findOption(command: Command, name: string): Option | undefined {
  for (let one: Command | null = command; one; one = one.parent) {
    const option = one.options.find(({ long, short }) => long === name || short === name);
    if (option) return option;
  }
  return undefined;
}

/** Those of the command and of what is above it. A switch that is on already is left out; options with values may be repeated. */
function optionsOf(command: Command, words: readonly string[]): Candidate[] {
  const found: Candidate[] = [{ value: '--help', description: 'display help for command' }];
  for (let one: Command | null = command; one; one = one.parent) {
    for (const option of one.options) {
      if (option.hidden || option.long === undefined || (one !== command && one.parent !== null)) continue;
      if (!takesValue(option) && words.includes(option.long)) continue;
      // The program's own stand before the command, unless the command takes them too.
      if (one !== command && !command.options.some(({ long }) => long === option.long)) continue;
      if (found.some(({ value }) => value === option.long)) continue;
      found.push({ value: option.long, description: option.description });
    }
  }
  return found;
}

function visibleCommands(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .map((one) => ({ value: one.name(), description: one.description() }));
}

async function argumentValues(argument: Argument, command: Command, words: readonly string[], findRunIds: FindRunIds): Promise<Completion> {
  const name = argument.name();
  if (argument.argChoices) return plainWords(argument.argChoices);
  if (name === 'spec') return { candidates: [], paths: 'files' };
  if (name === 'folder') return { candidates: [], paths: 'folders' };
  if (name === 'run' || name === 'other') return { candidates: await findRunIds(command, words), paths: 'none' };
  if (command.name() === 'help' && command.parent) return { candidates: visibleCommands(command.parent), paths: 'none' };
  return NOTHING;
}

async function valuesOf(option: Option, command: Command, words: readonly string[], prefix: string, current: string, findRunIds: FindRunIds): Promise<Completion> {
  const known = option.argChoices ?? values[option.long ?? ''];
  const found = known ? plainWords(known).candidates : option.long === '--run' ? await findRunIds(command, words) : [];
  if (found.length > 0) return { candidates: matching(found, current).map(({ value, description }) => ({ value: prefix + value, description })), paths: 'none' };
  const placeholder = /<([^>]+)>/.exec(option.flags)?.[1];
  return { candidates: [], paths: placeholder === 'folder' ? 'folders' : placeholder === 'file' || placeholder === 'spec' ? 'files' : 'none' };
}

const plainWords = (known: readonly string[]): Completion => ({ candidates: known.map((value) => ({ value, description: '' })), paths: 'none' });

const matching = (candidates: readonly Candidate[], start: string): Candidate[] => candidates.filter(({ value }) => value.startsWith(start));

/** What the shells' scripts read: a line per candidate, value and description with a tab between them; the last line is `:` and the kind of paths. */
export function formatCompletion({ candidates, paths }: Completion): string {
  const clean = (text: string): string => text.replaceAll(/[\p{Cc}\s]+/gu, ' ').trim();
  const lines = candidates.map(({ value, description }) => {
    const shown = clean(description);
    return shown === '' ? clean(value) : `${clean(value)}\t${shown}`;
  });
  return `${[...lines, `:${paths}`].join('\n')}\n`;
}

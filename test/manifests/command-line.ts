import { createProgram } from '../../packages/cli/src/program.js';
import type { IConfigMap, IContainer } from 'kubernetes-models/v1';
import { ofKind, type Rendering } from './objects.js';

type Command = ReturnType<typeof createProgram>;

/** The program itself, as the image's entrypoint starts it. */
export const isDd2 = ({ image = '', command }: IContainer): boolean => /\/dd2(-gpu)?[:@]/.test(image) && command === undefined;

/** Variables that are no option's: read by the log, and by whoever shows a token. */
const otherVariables = ['DD2_LOG_FORMAT', 'DD2_TOKEN'];

/** What `dd2` makes of a command line and an environment. */
export interface Call {
  /** such as `kubernetes bootstrap` */
  readonly command: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** variables that the command reads */
  readonly variables: ReadonlySet<string>;
}

/**
 * Parses as the program does, and does nothing.
 * @throws {Error} for a command line that it refuses
 */
function parseCall(args: readonly string[], environment: Readonly<Record<string, string>>): Call {
  const program = createProgram();
  let called: Command | undefined;
  const watch = (command: Command): void => {
    command.action(() => {
      called = command;
    });
    command.commands.forEach(watch);
  };
  program.commands.forEach(watch);
  const own = process.env;
  process.env = { ...environment };
  try {
    program.parse(args, { from: 'user' });
  } finally {
    process.env = own;
  }
  if (!called) throw new Error(`dd2 ${args.join(' ')} is no command`);
  const lineage: Command[] = [];
  for (let command: Command | null = called; command; command = command.parent) lineage.unshift(command);
  const variables = new Set([...otherVariables, ...lineage.flatMap(({ options }) => options.flatMap(({ envVar }) => envVar ?? []))]);
  const names = lineage.slice(1).map((command) => command.name());
  return { command: names.join(' '), options: called.opts(), variables };
}

/** What stands for a value that only the cluster knows. */
const UNKNOWN = 'unknown';

/** Variables of a container. Values of Secrets and of the pod are replaced by a word. */
export function environmentOf(rendering: Rendering, { env = [], envFrom = [] }: IContainer): Record<string, string> {
  const maps = new Map(ofKind<IConfigMap>(rendering, 'ConfigMap').map(({ metadata, data }) => [metadata.name, data ?? {}]));
  const found: Record<string, string> = {};
  for (const { configMapRef, prefix = '' } of envFrom) for (const [key, value] of Object.entries(maps.get(configMapRef?.name ?? '') ?? {})) found[prefix + key] = value;
  for (const { name, value, valueFrom } of env) {
    const map = valueFrom?.configMapKeyRef;
    found[name] = map ? (maps.get(map.name ?? '')?.[map.key] ?? UNKNOWN) : valueFrom ? UNKNOWN : expand(value ?? '', found);
  }
  return found;
}

/** `$(NAME)` stands for a variable that was there before; `$$` for a dollar. */
export const expand = (text: string, environment: Readonly<Record<string, string>>): string =>
  text.replace(/\$\$|\$\(([A-Za-z_]\w*)\)/g, (all, name: string | undefined) => (name === undefined ? '$' : (environment[name] ?? all)));

const calls = new Map<string, Call | Error>();

/** The call that a container makes, or why the program refuses it. The same command line is parsed once. */
export function callOf(rendering: Rendering, container: IContainer): Call | Error {
  const environment = environmentOf(rendering, container);
  const args = (container.args ?? []).map((word) => expand(word, environment));
  const key = JSON.stringify([args, environment]);
  const call = calls.get(key) ?? tryParse(args, environment);
  calls.set(key, call);
  return call;
}

function tryParse(args: readonly string[], environment: Readonly<Record<string, string>>): Call | Error {
  try {
    return parseCall(args, environment);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

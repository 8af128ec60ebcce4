import { Command } from 'commander';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { clientCommand } from './connection.js';
import { acceptLeadingOptions } from './leading-options.js';
import { createProgram } from './program.js';

let seen: Record<string, unknown>[] = [];
beforeEach(() => {
  seen = [];
  for (const name of ['DD2_SERVER', 'DD2_TOKEN_FILE', 'DD2_CERTS']) vi.stubEnv(name, undefined);
});
afterEach(() => vi.unstubAllEnvs());

async function parse(...words: string[]): Promise<Record<string, unknown> | undefined> {
  const program = new Command('dd2').option('--verbose');
  const list = clientCommand('list').action((_options: unknown, command: Command) => void seen.push({ ...command.opts(), all: command.optsWithGlobals() }));
  program.addCommand(new Command('run').addCommand(list));
  program.addCommand(new Command('train').argument('<spec>').action(() => undefined));
  acceptLeadingOptions(program);
  await program.exitOverride().parseAsync(words, { from: 'user' });
  return seen.at(-1);
}

it('options of a connection may stand before the command', async () => {
  expect(await parse('--server', 'https://a', '--token-file=f', '--certs', 'c', 'run', 'list')).toMatchObject({ server: 'https://a', tokenFile: 'f', certs: 'c' });
  expect(await parse('run', 'list', '--server', 'https://a')).toMatchObject({ server: 'https://a' });
  expect(await parse('run', 'list')).toMatchObject({ server: '127.0.0.1:7070' });
});

it('what stands after the command goes first, and the environment last', async () => {
  for (const name of ['DD2_SERVER', 'DD2_CERTS']) vi.stubEnv(name, 'env:1');
  const found = await parse('--server', 'before:1', '--token-file', 'before', 'run', 'list', '--server', 'after:1');
  expect(found).toMatchObject({ server: 'after:1', tokenFile: 'before', certs: 'env:1' });
  // For commands that look at their parents' options.
  expect(found?.['all']).toMatchObject({ server: 'after:1', tokenFile: 'before', certs: 'env:1' });
  expect(await parse('--server', 'before:1', 'run', 'list')).toMatchObject({ server: 'before:1' });
});

it('--verbose may stand anywhere', async () => {
  for (const words of [['--verbose', 'run', 'list'], ['run', '--verbose', 'list'], ['run', 'list', '--verbose']]) expect((await parse(...words))?.['all']).toMatchObject({ verbose: true });
  expect((await parse('run', 'list'))?.['all']).not.toHaveProperty('verbose');
});

it('a command that asks no coordinator says so, and a wrong address is told', async () => {
  await expect(parse('--server', 'a:1', 'train', 'x.yaml')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('`dd2 train` has no option --server') as string });
  await expect(parse('--server', 'nowhere', 'run', 'list')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: '--server' });
  expect(seen).toEqual([]);
});

it('help of a command lists each option once', () => {
  const list = createProgram().commands.find((command) => command.name() === 'run')?.commands.find((command) => command.name() === 'list');
  expect(list?.helpInformation().match(/--server|--token-file|--certs|--verbose/g)).toEqual(['--server', '--token-file', '--certs']);
});

import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const tools = join(root, 'node_modules', '.bin');

/** Runs buf in the package's folder; rejects with its output. */
async function buf(...args: string[]): Promise<string> {
  const env = { ...process.env, PATH: `${tools}${delimiter}${process.env['PATH'] ?? ''}` };
  const { stdout } = await promisify(execFile)(join(tools, 'buf'), args, { cwd: root, env });
  return stdout;
}

async function sources(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts')).sort();
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const)));
}

describe('the contract', () => {
  let output = '';
  beforeAll(async () => {
    output = await mkdtemp(join(tmpdir(), 'dd2-proto-'));
  });
  afterAll(() => rm(output, { recursive: true, force: true }));

  it('follows the lint rules and the format', async () => {
    await buf('lint');
    await buf('format', '--diff', '--exit-code');
  });

  it('is what the committed code was generated from', async () => {
    await buf('generate', '--output', output);
    const committed = await sources(join(root, 'src', 'gen'));
    expect(committed.size).toBe(4);
    expect(await sources(join(output, 'src', 'gen'))).toEqual(committed);
  });

  it('breaks nobody who speaks the baseline', async () => {
    await buf('breaking', '--against', 'baseline.binpb');
  });
});

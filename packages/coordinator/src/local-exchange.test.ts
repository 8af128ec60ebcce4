import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LocalExchange } from './local-exchange.js';
import { temporaryFolder } from './testing/temporary-folder.js';

const none = join('/', 'no', 'shared', 'memory');

async function opened(dataDir: string): Promise<LocalExchange> {
  const exchange = await LocalExchange.open(dataDir, none);
  onTestFinished(() => exchange.close());
  return exchange;
}

describe('LocalExchange', () => {
  it('makes a private folder with a probe, in the data folder where there is no shared memory', async () => {
    const dataDir = await temporaryFolder();
    const exchange = await opened(dataDir);
    expect(exchange.folder.startsWith(join(dataDir, 'exchange'))).toBe(true);
    expect((await stat(exchange.folder)).mode & 0o777).toBe(0o700);
    expect(await readFile(join(exchange.folder, exchange.probe), 'utf8')).toBe(exchange.token);
    await exchange.close();
    expect(await readdir(join(dataDir, 'exchange'))).toEqual([]);
  });

  it('removes what a killed coordinator of the same data folder left, and nobody else\'s', async () => {
    const dataDir = await temporaryFolder();
    const exchange = await opened(dataDir);
    const parent = join(dataDir, 'exchange');
    const dead = spawnSync(process.execPath, ['--version']).pid;
    const named = (pid: number): string => basename(exchange.folder).replace(/\d+$/, String(pid));
    const kept = [named(process.ppid), `dd2-000000000000-${dead}`, 'something'];
    for (const name of [named(dead), ...kept]) await mkdir(join(parent, name));
    await opened(dataDir);
    expect((await readdir(parent)).sort()).toEqual([basename(exchange.folder), ...kept].sort());
  });

  it.each(['', 'probe', '../probe', 'session', 'session/../probe', '../session.gradient', 'session.gradient/..', 'other.gradient', `session${'x'.repeat(200)}.gradient`])('refuses the gradient file %j', async (name) => {
    const exchange = await opened(await temporaryFolder());
    expect(() => exchange.gradientPath('session', name)).toThrow('not the gradient file of session session');
  });

  it('removes the gradient of one session', async () => {
    const exchange = await opened(await temporaryFolder());
    for (const id of ['aaa', 'bbb']) await writeFile(exchange.gradientPath(id, `${id}.gradient`), '');
    await exchange.removeGradientOf('aaa');
    expect((await readdir(exchange.folder)).sort()).toEqual(['bbb.gradient', 'probe']);
  });
});

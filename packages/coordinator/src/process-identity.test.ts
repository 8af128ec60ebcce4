import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hasEnded, thisProcess } from './process-identity.js';

const linux = process.platform === 'linux';

describe('hasEnded', () => {
  it('knows this process to live, and one that was waited for to have ended', async () => {
    const self = await thisProcess();
    expect(self.pid).toBe(process.pid);
    expect(await hasEnded(self)).toBe(false);
    expect(await hasEnded({ ...self, pid: spawnSync(process.execPath, ['--version']).pid })).toBe(true);
  });

  it.runIf(linux)('knows a process id that was used again by its start', async () => {
    const self = await thisProcess();
    expect(await hasEnded({ ...self, startTicks: (self.startTicks ?? 0) - 1 })).toBe(true);
  });

  it.runIf(linux)('does not take a zombie for a process that lives', async () => {
    const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 600'], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void parent.kill('SIGKILL'));
    const [text] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(text.toString());
    const fields = async (): Promise<string[]> => (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ');
    while ((await fields())[0] !== 'Z') await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await hasEnded({ ...(await thisProcess()), pid, startTicks: Number((await fields())[19]) })).toBe(true);
  });

  it.runIf(linux)('does not judge processes of another machine, boot or container', async () => {
    const ended = { ...(await thisProcess()), pid: 2 ** 22 + 1, startTicks: 1 };
    expect(await hasEnded(ended)).toBe(true);
    expect(await hasEnded({ ...ended, boot: 'another' })).toBe(false);
    expect(await hasEnded({ ...ended, pidNamespace: 'pid:[1]' })).toBe(false);
    expect(await hasEnded({ host: 'elsewhere', pid: 2 ** 22 + 1 })).toBe(false);
  });
});

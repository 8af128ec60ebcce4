import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hasEnded, thisProcess, type ProcessIdentity } from './process-identity.js';

const linux = process.platform === 'linux';
const unshare = ['unshare', '--pid', '--uts', '--fork', '--mount-proc', '--kill-child'] as const;
/** whether this user may make what a container is made of */
const namespaces = linux && spawnSync(unshare[0], [...unshare.slice(1), 'true']).status === 0;

/**
 * A process 1 on `dd2-coordinator-0`, as the pod of a StatefulSet has it; it says who it is, and judges another process: that of a
 * claim, or a child of its own that has ended.
 */
function startContainer(judged?: ProcessIdentity | 'child'): { readonly identity: Promise<ProcessIdentity>; readonly verdict: Promise<boolean> } {
  const script = `
    import { spawnSync } from 'node:child_process';
    import { hasEnded, thisProcess } from ${JSON.stringify(new URL('../dist/process-identity.js', import.meta.url).href)};
    const self = await thisProcess();
    const judged = ${judged === 'child' ? "{ ...self, pid: spawnSync('true').pid }" : JSON.stringify(judged ?? null)};
    console.log(JSON.stringify({ self, ended: judged && (await hasEnded(judged)) }));
    setInterval(() => undefined, 1000);`;
  const [command, ...args] = unshare;
  const child = spawn(command, [...args, 'sh', '-c', 'hostname dd2-coordinator-0; exec "$0" --input-type=module -e "$1"', process.execPath, script], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const said = once(child.stdout, 'data').then(([text]) => JSON.parse(String(text)) as { self: ProcessIdentity; ended: boolean });
  return { identity: said.then(({ self }) => self), verdict: said.then(({ ended }) => ended) };
}

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

  it.runIf(linux)('does not judge by host name and process id, where that is all that is known', async () => {
    const { host, pid } = await thisProcess();
    const ended = { host, pid: 2 ** 22 + 1 };
    // a sandbox whose /proc tells neither boot nor namespace, but starts of processes
    for (const here of [{ host, pid }, { host, pid, startTicks: 7 }, { host, pid, boot: 'b', startTicks: 7 }]) {
      expect(await hasEnded({ ...ended, ...('boot' in here && { boot: here.boot }), startTicks: 8 }, here)).toBe(false);
    }
  });

  it.runIf(linux && namespaces)('tells the first processes of two containers apart that have the same host name', async () => {
    const self = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const living = startContainer();
    const claim = await living.identity;
    expect(claim).toMatchObject({ host: 'dd2-coordinator-0', pid: 1, boot: self });
    const successor = startContainer(claim);
    expect((await successor.identity).pidNamespace).not.toBe(claim.pidNamespace);
    expect(await successor.verdict).toBe(false);
    // Seen from where both can be seen, number 1 is another process still.
    expect(await hasEnded(claim)).toBe(false);
  });

  it.runIf(linux && namespaces)('knows a process of the same container that has ended, and one that lives', async () => {
    const { identity, verdict } = startContainer('child');
    expect(await identity).toMatchObject({ host: 'dd2-coordinator-0' });
    expect(await verdict).toBe(true);
  });
});

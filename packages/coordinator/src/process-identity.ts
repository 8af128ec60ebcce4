import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { z } from 'zod';

/** A process, told apart from every other one, here or on another machine, now or earlier. */
export const processIdentitySchema = z.object({
  host: z.string(),
  pid: z.number().int().positive(),
  /** of the running kernel: it changes with every boot, and containers of one machine share it */
  boot: z.string().optional(),
  /** the namespace in which `pid` counts: containers have their own */
  pidNamespace: z.string().optional(),
  /** clock ticks from boot to the start of the process: a process id is used again, but not with the same start */
  startTicks: z.number().optional(),
});

export type ProcessIdentity = z.infer<typeof processIdentitySchema>;

/** What `/proc` does not tell (it is Linux') is left out, and so is what it tells of another process table than this process's. */
export async function thisProcess(): Promise<ProcessIdentity> {
  const self = { host: hostname(), pid: process.pid };
  if ((await readlink('/proc/self').catch(() => '')) !== String(process.pid)) return self;
  const [boot, pidNamespace, status] = await Promise.all([
    readFile('/proc/sys/kernel/random/boot_id', 'utf8').then((id) => id.trim(), () => undefined),
    readlink('/proc/self/ns/pid').catch(() => undefined),
    statusOf(process.pid),
  ]);
  const startTicks = status?.startTicks;
  return { ...self, ...(boot && { boot }), ...(pidNamespace && { pidNamespace }), ...(startTicks !== undefined && { startTicks }) };
}

/**
 * Has that process ended, for certain? False also for one that cannot be seen from here. Host name and process id prove nothing
 * on Linux: every container's first process is number 1, and the pods of a StatefulSet come back under the same name.
 */
export async function hasEnded(other: ProcessIdentity, here?: ProcessIdentity): Promise<boolean> {
  const { host, boot, pidNamespace, startTicks } = here ?? (await thisProcess());
  if (other.boot !== boot || other.pidNamespace !== pidNamespace) return false;
  if (process.platform !== 'linux') return other.host === host && !isAlive(other.pid);
  if (boot === undefined || pidNamespace === undefined || startTicks === undefined) return false;
  const status = await statusOf(other.pid);
  // `/proc` may hide the processes of other users.
  if (status === undefined) return !isAlive(other.pid);
  // A zombie has ended; its parent has not asked for the exit code yet.
  return status.startTicks !== other.startTicks || status.state === 'Z' || status.state === 'X';
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Fields 3 and 22 of `/proc/<pid>/stat` (proc(5)); the name before them is in parentheses and may hold anything. */
async function statusOf(pid: number): Promise<{ readonly state: string; readonly startTicks: number } | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', startTicks: Number(fields[19]) };
  } catch {
    return undefined;
  }
}

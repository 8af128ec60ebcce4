import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { startDd2, type Dd2Process } from './processes.js';

const run = promisify(execFile);
/** Names and addresses of this process's machines do not meet those of another test. */
const NET = `10.${64 + (process.pid % 128)}`;
let machines = 0;

/** Which packets are lost, seen from the far machine. */
export type Cut = 'both ways' | 'from here' | 'to here';

const RULES: Readonly<Record<Cut, readonly string[]>> = { 'both ways': ['INPUT', 'OUTPUT'], 'from here': ['INPUT'], 'to here': ['OUTPUT'] };

/** Why there can be no far machines, if there can be none. */
export function noFarMachines(): string | undefined {
  const name = `dd2-probe-${process.pid}`;
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'pipe' });
  } catch (error) {
    return `network namespaces cannot be made: ${String(error).split('\n')[0]}`;
  }
  try {
    execFileSync('ip', ['netns', 'exec', name, 'iptables', '-A', 'INPUT', '-j', 'DROP'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `iptables does not work: ${String(error).split('\n')[0]}`;
  } finally {
    execFileSync('ip', ['netns', 'del', name]);
  }
}

/** A network namespace with one cable to this machine: what runs there sees this machine at `here`, and nothing else. */
export class FarMachine {
  private constructor(
    readonly name: string,
    /** this machine's address on the cable */
    readonly here: string,
  ) {}

  static async create(): Promise<FarMachine> {
    const index = machines++;
    const name = `dd2-${process.pid}-${index}`;
    const [near, far] = [`d${process.pid}n${index}`, `d${process.pid}f${index}`];
    const [here, there] = [`${NET}.${index}.1`, `${NET}.${index}.2`];
    await run('ip', ['netns', 'add', name]);
    await run('ip', ['link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name]);
    await run('ip', ['addr', 'add', `${here}/30`, 'dev', near]);
    await run('ip', ['link', 'set', near, 'up']);
    for (const args of [['addr', 'add', `${there}/30`, 'dev', far], ['link', 'set', far, 'up'], ['link', 'set', 'lo', 'up']]) await run('ip', ['-n', name, ...args]);
    return new FarMachine(name, here);
  }

  start(args: readonly string[]): Dd2Process {
    return startDd2(args, {}, ['ip', 'netns', 'exec', this.name]);
  }

  async cut(what: Cut): Promise<void> {
    for (const chain of RULES[what]) await this.#iptables('-A', chain, '-j', 'DROP');
  }

  async heal(): Promise<void> {
    await this.#iptables('-F');
  }

  /** The cable goes with its end. */
  async remove(): Promise<void> {
    await run('ip', ['netns', 'del', this.name]);
  }

  async #iptables(...args: string[]): Promise<void> {
    await run('ip', ['netns', 'exec', this.name, 'iptables', ...args]);
  }
}

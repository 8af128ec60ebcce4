import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { parseFailure, type WorkerFailure } from '../cluster/worker-supervisor.js';

/** What a service manager waits before it starts a process again. */
const RESTART_DELAY_MS = 100;
const CLOSE_GRACE_MS = 10_000;

export interface SupervisedProcessOptions {
  /** for people: worker 1 */
  readonly name: string;
  readonly spawn: () => ChildProcess;
  /** it ended although nobody had killed it */
  readonly onSurprise: (name: string, reason: string) => void;
}

/** A process that is started again whenever it ends, and that can be made to. */
export class SupervisedProcess {
  #child: ChildProcess | undefined;
  /** the child that was killed on purpose last */
  #killed: ChildProcess | undefined;
  #closing = false;
  /** what must be done before the next start */
  #repair: (() => Promise<void>) | undefined;
  #supervising: Promise<void>;

  constructor(private readonly options: SupervisedProcessOptions) {
    this.#supervising = this.#supervise();
  }

  get name(): string {
    return this.options.name;
  }

  /** Kills it at once; `repair` runs before it is started again. A process that is just being started is killed as soon as it is there. */
  async kill(repair?: () => Promise<void>): Promise<void> {
    if (repair) this.#repair = repair;
    const child = await this.#running();
    if (child) this.#end(child);
  }

  /** Stops it for a while, as a machine that swaps or a debugger does; then it goes on, or is killed. */
  async freeze(forMs: number, killedThen: boolean): Promise<void> {
    const child = await this.#running();
    if (!child) return;
    child.kill('SIGSTOP');
    setTimeout(() => {
      if (killedThen) this.#end(child);
      else child.kill('SIGCONT');
    }, forMs).unref();
  }

  /** Ends it for good: asks first, then kills. */
  async close(): Promise<void> {
    this.#closing = true;
    const child = this.#child;
    if (child && isAlive(child)) {
      const late = setTimeout(() => child.kill('SIGKILL'), CLOSE_GRACE_MS);
      child.kill('SIGCONT');
      if (child.connected) child.disconnect();
      else child.kill('SIGTERM');
      await this.#supervising;
      clearTimeout(late);
    }
    await this.#supervising;
  }

  /** Without waiting for anything: for a process that must leave nothing behind when it exits itself. */
  killNow(): void {
    this.#closing = true;
    this.#child?.kill('SIGKILL');
  }

  #end(child: ChildProcess): void {
    this.#killed = child;
    child.kill('SIGKILL');
  }

  async #running(): Promise<ChildProcess | undefined> {
    while (!this.#closing) {
      if (this.#child && isAlive(this.#child)) return this.#child;
      await delay(RESTART_DELAY_MS / 4);
    }
    return undefined;
  }

  async #supervise(): Promise<void> {
    while (!this.#closing) {
      const child = this.options.spawn();
      this.#child = child;
      let failure: WorkerFailure | undefined;
      child.on('message', (message) => (failure = parseFailure(message) ?? failure));
      const reason = await Promise.race([
        once(child, 'exit').then(([code, signal]: (number | string | null)[]) => (signal === null ? `exit code ${code}` : String(signal))),
        once(child, 'error').then(([error]: Error[]) => error?.message ?? 'it cannot be started'),
      ]);
      if (!this.#closing && this.#killed !== child) this.options.onSurprise(this.name, failure ? `${failure.code}: ${failure.message}` : reason);
      if (!this.#closing) await delay(RESTART_DELAY_MS);
      await this.#repair?.();
      this.#repair = undefined;
    }
  }
}

const isAlive = (child: ChildProcess): boolean => child.pid !== undefined && child.exitCode === null && child.signalCode === null;

import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Dd2Error, errorCodes, type ErrorCode } from '@dd2/core';
import { childEnvironment } from './child-environment.js';

export interface WorkerSettings {
  /** host:port */
  readonly coordinator: string;
  readonly provider: string;
  /** threads of one graph execution */
  readonly intraOpThreads: number;
  /** `teacher` for the teacher pool */
  readonly role?: string;
  /** the coordinator's data folder: the worker reads its join token there */
  readonly dataDir: string;
  /** folder with certificates for TLS */
  readonly certs?: string | undefined;
  /** allows to send the token without TLS to another address of this machine */
  readonly insecure?: boolean;
  readonly verbose: boolean;
}

export interface SupervisorOptions {
  readonly count: number;
  /** starts worker number `index`; `spawnWorker` in the product */
  readonly spawn: (index: number) => ChildProcess;
  /** called when a worker died and will be started again */
  readonly onRestart?: (name: string, reason: string, delayMs: number) => void;
  /** called at most once, with what starting again cannot help: nothing is started any more */
  readonly onFatal?: (error: Dd2Error) => void;
  readonly firstDelayMs?: number;
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 10_000;
/** a worker that lived this long was healthy: its next death starts the back-off anew */
const HEALTHY_MS = 10_000;
const CLOSE_GRACE_MS = 5_000;

/** What a worker process says of itself over its IPC channel before it exits. */
export interface WorkerFailure {
  readonly code: string;
  readonly message: string;
}

/** Keeps a number of worker processes alive until it is closed. */
export class WorkerSupervisor {
  readonly #children = new Map<number, ChildProcess>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #ended = false;

  constructor(private readonly options: SupervisorOptions) {
    for (let index = 0; index < options.count; index++) this.#start(index, options.firstDelayMs ?? FIRST_DELAY_MS);
  }

  /** Process ids of the workers that run now. */
  get processIds(): number[] {
    return [...this.#children.values()].flatMap(({ pid }) => pid ?? []);
  }

  /** Lets workers that leave from now on go. */
  stopStarting(): void {
    this.#ended = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  /** Ends all workers: their IPC channels close, which they take as the order to leave; what stays is killed. */
  async close(): Promise<void> {
    this.stopStarting();
    await Promise.all([...this.#children.values()].map(endChild));
  }

  #start(index: number, delayMs: number): void {
    const child = this.options.spawn(index);
    const started = performance.now();
    let failure: WorkerFailure | undefined;
    let ended = false;
    this.#children.set(index, child);
    child.on('message', (message) => {
      failure = parseFailure(message) ?? failure;
    });
    const onEnd = (reason: string): void => {
      if (ended) return;
      ended = true;
      this.#children.delete(index);
      if (this.#ended) return;
      const error = failure && new Dd2Error(knownCode(failure.code), failure.message);
      // The coordinator being gone is a matter of time; a missing device is not.
      if (error && ['PROVIDER_UNAVAILABLE', 'UNSUPPORTED_OPERATION', 'INVALID_ARGUMENT', 'UNAUTHENTICATED'].includes(error.code)) {
        this.stopStarting();
        this.options.onFatal?.(error);
        return;
      }
      const healthy = performance.now() - started >= HEALTHY_MS;
      const wait = healthy ? (this.options.firstDelayMs ?? FIRST_DELAY_MS) : delayMs;
      this.options.onRestart?.(`worker ${index}`, failure?.message ?? reason, wait);
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.#start(index, Math.min(2 * wait, LONGEST_DELAY_MS));
      }, wait);
      this.#timers.add(timer);
    };
    child.once('error', (cause) => onEnd(cause.message));
    child.once('exit', (code, signal) => onEnd(signal === null ? `exit code ${code ?? 'unknown'}` : signal));
  }
}

/** The file that `dd2` is. */
export const dd2Program = fileURLToPath(new URL('../../bin/dd2.mjs', import.meta.url));

/** A `dd2 worker` process that leaves when this process ends, however it ends. */
export function spawnWorker(settings: WorkerSettings, name: string): ChildProcess {
  return spawn(process.execPath, [dd2Program, ...workerArguments(settings, name)], { env: childEnvironment(process.env), stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
}

/** The command line of a worker that has a supervisor. */
export function workerArguments(settings: WorkerSettings, name: string): string[] {
  const args = ['worker', '--coordinator', settings.coordinator, '--name', name, '--provider', settings.provider, '--threads', String(settings.intraOpThreads), '--data-dir', settings.dataDir, '--supervised'];
  if (settings.role !== undefined) args.push('--role', settings.role);
  if (settings.certs !== undefined) args.push('--certs', settings.certs);
  if (settings.insecure === true) args.push('--insecure');
  if (settings.verbose) args.push('--verbose');
  return args;
}

function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const kill = setTimeout(() => child.kill('SIGKILL'), CLOSE_GRACE_MS);
    child.once('exit', () => {
      clearTimeout(kill);
      resolve();
    });
    if (child.connected) child.disconnect();
    else child.kill();
  });
}

/** A failure that a supervised process has told its supervisor. */
export function parseFailure(message: unknown): WorkerFailure | undefined {
  if (typeof message !== 'object' || message === null || !('code' in message) || !('message' in message)) return undefined;
  const { code, message: text } = message;
  return typeof code === 'string' && typeof text === 'string' ? { code, message: text } : undefined;
}

const knownCode = (code: string): ErrorCode => (Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'INTERNAL');

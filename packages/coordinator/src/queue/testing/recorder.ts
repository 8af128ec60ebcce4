import { EventEmitter, once } from 'node:events';
import pino from 'pino';
import { z } from 'zod';
import type { Processing } from '../job-processor.js';

export const dataSchema = z.object({ value: z.number() });
export type Data = z.infer<typeof dataSchema>;

/** Processes jobs as a test wants it, and keeps what came. */
export class Recorder {
  /** `id/attempt` of every job that came, in that order */
  readonly came: string[] = [];
  readonly retried: string[] = [];
  readonly givenUp: string[] = [];
  readonly #held = new Map<string, { resolve: () => void; reject: (error: Error) => void }>();
  readonly #changes = new EventEmitter();
  #process: (id: string, attempt: number) => Promise<void> | void = () => undefined;

  /** What becomes of a job; without it, it succeeds. */
  process(process: (id: string, attempt: number) => Promise<void> | void): this {
    this.#process = process;
    return this;
  }

  /** Holds every job until `finish`. */
  hold(): this {
    return this.process((id) => new Promise((resolve, reject) => this.#held.set(id, { resolve, reject })));
  }

  finish(id: string, error?: Error): void {
    const held = this.#held.get(id);
    this.#held.delete(id);
    if (error) held?.reject(error);
    else held?.resolve();
  }

  /** Resolves when `condition` holds; looked at whenever something happens. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#changes, 'change');
  }

  processing(options: Partial<Pick<Processing<Data>, 'concurrency' | 'attempts' | 'backoffMs'>> = {}): Processing<Data> {
    const keep = (list: string[], entry: string): void => {
      list.push(entry);
      this.#changes.emit('change');
    };
    return {
      schema: dataSchema,
      concurrency: 1,
      attempts: 3,
      backoffMs: 10,
      ...options,
      process: async ({ id, attempt }) => {
        keep(this.came, `${id}/${attempt}`);
        await this.#process(id, attempt);
      },
      onRetry: (id, _error, attempt, delayMs) => keep(this.retried, `${id}/${attempt}/${delayMs}`),
      onGivenUp: (id, error) => keep(this.givenUp, `${id}: ${error instanceof Error ? error.message : String(error)}`),
    };
  }
}

/** A log that a test can read. */
export function recordingLogger(): { readonly logger: pino.Logger; readonly lines: string[] } {
  const lines: string[] = [];
  return { lines, logger: pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) }) };
}

import { statSync } from 'node:fs';
import path from 'node:path';

const POLL_MS = 10;

/** Sees commits from outside: a line is added to the metrics of a run. */
export class CommitWatch {
  /** by run id; nothing where the file is not there yet */
  readonly #files = new Map<string, { readonly inode: number; readonly bytes: number } | undefined>();
  readonly #timer: NodeJS.Timeout;
  #lastAt = performance.now();

  constructor(
    private readonly dataDir: string,
    private readonly onCommit: (runId: string) => void,
  ) {
    this.#timer = setInterval(() => this.poll(), POLL_MS);
  }

  add(runId: string): void {
    this.#files.set(runId, this.#read(runId));
    this.#lastAt = performance.now();
  }

  remove(runId: string): void {
    this.#files.delete(runId);
  }

  /** since the last commit of any run, or since the last run was added */
  get idleMs(): number {
    return performance.now() - this.#lastAt;
  }

  /** Takes note of what has been committed up to now. */
  poll(): void {
    for (const [runId, before] of this.#files) {
      const now = this.#read(runId);
      this.#files.set(runId, now);
      if (now === undefined) continue;
      // A run that is resumed drops the updates that it will repeat: it writes a new file, which is no commit.
      const grown = before === undefined ? now.bytes > 0 : now.inode === before.inode && now.bytes > before.bytes;
      if (!grown) continue;
      this.#lastAt = performance.now();
      this.onCommit(runId);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #read(runId: string): { readonly inode: number; readonly bytes: number } | undefined {
    const found = statSync(path.join(this.dataDir, 'runs', runId, 'metrics.jsonl'), { throwIfNoEntry: false });
    return found && { inode: found.ino, bytes: found.size };
  }
}

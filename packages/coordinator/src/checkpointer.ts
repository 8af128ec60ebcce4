import { setTimeout as sleep } from 'node:timers/promises';
import { Dd2Error, type ParameterLayout } from '@dd2/core';
import type { Aggregators } from './aggregators.js';
import { checkpointPath, checkpointVectors, listCheckpoints, retainCheckpoints, saveCheckpoint, type CheckpointHeader } from './checkpoint.js';
import { CheckpointWriter } from './checkpoint-writer.js';
import type { RunFolder } from './run-folder.js';
import type { StateCopy } from './state-copy.js';

/** after a failed write the next is tried that much later, twice as much later each time */
const BACKOFF_MS = 1_000;
const RETRIES = 3;
/** copies of the state that may wait while another is written: more of them are a disk that cannot follow */
const WAITING = 2;

export interface CheckpointerOptions {
  readonly folder: RunFolder;
  readonly layout: ParameterLayout;
  readonly aggregators: Aggregators;
  /** newest checkpoints that are kept */
  readonly keep: number;
  /** updates whose checkpoints evaluations need */
  readonly held: () => Iterable<number>;
  /** update of the checkpoint with the lowest FID */
  readonly best: () => number | undefined;
  /** rejects when this coordinator may not write any more */
  readonly verify: () => Promise<void>;
  /** @param seconds how long writing it took, further tries included */
  readonly onSaved: (update: number, seconds: number) => void;
  readonly onTrouble: (what: string, error: Dd2Error) => void;
  /** between a failed write and the next; 1 s unless told */
  readonly backoffMs?: number;
}

/** One checkpoint on its way. */
class Save {
  /** does the checkpoint exist? known when it was written or given up */
  readonly ended: Promise<boolean>;
  exists: boolean | undefined;
  error: Dd2Error | undefined;
  #resolve: (exists: boolean) => void = () => undefined;

  constructor(
    readonly header: CheckpointHeader,
    readonly copy: StateCopy,
    /** the copy is complete */
    readonly taken: Promise<void>,
  ) {
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    taken.catch(() => undefined); // asked for when its turn comes
  }

  end(exists: boolean): void {
    this.exists = exists;
    this.#resolve(exists);
  }
}

/**
 * Writes checkpoints beside the updates. The threads that hold the state copy it in memory, each shard when there is time or
 * before it changes; a thread of its own hashes and writes. One is written at a time, in order. When the disk cannot follow,
 * those in between are left out, but never one that an evaluation needs: what a run comes to must not depend on its disk.
 */
export class Checkpointer {
  readonly #waiting: Save[] = [];
  /** called when one that waited has its turn */
  readonly #wantRoom: (() => void)[] = [];
  #current: Save | undefined;
  /** The last that was asked for. It keeps its copy when it fails: the transition of a phase may have changed the state of that update. */
  #newest: Save | undefined;
  #adopted: number | undefined;
  #writing: Promise<void> | undefined;
  #writer: CheckpointWriter | undefined;
  /** memory of a copy that is no longer needed: fresh memory is filled several times more slowly */
  #spare: StateCopy | undefined;
  #pause: AbortController | undefined;
  #leavesOut = false;

  constructor(private readonly options: CheckpointerOptions) {}

  /** The run has loaded this checkpoint: it need not be written again. */
  adopt(update: number): void {
    this.#adopted = update;
  }

  /**
   * Takes the state as it is now: whatever the aggregators are told once this resolves, that is what will be written. It resolves
   * at once, unless evaluations need all that wait for a slow disk. A failed write is told and tried again three times; then the
   * run goes on without that checkpoint. The state of an update is taken once.
   */
  async save(header: CheckpointHeader): Promise<void> {
    const { update } = header;
    if (this.#newest?.header.update === update) {
      const { exists, copy, taken, header: first } = this.#newest;
      if (exists === false) this.#enqueue(new Save(first, copy, taken));
      return;
    }
    if (update === this.#adopted) return;
    while (this.#waiting.length >= WAITING && this.#waiting.every((save) => this.#isHeld(save))) await new Promise<void>((resolve) => this.#wantRoom.push(resolve));
    if (this.#newest?.exists === false) this.#recycle(this.#newest);
    this.#enqueue(this.#take(header));
  }

  /** Resolves when the write of that update has ended: does its checkpoint exist? */
  async saved(update: number): Promise<boolean> {
    const save = [this.#newest, ...this.#waiting, this.#current].find((known) => known?.header.update === update);
    return save ? save.ended : (await listCheckpoints(this.options.folder)).includes(update);
  }

  /**
   * The checkpoint that a run ends with: resolves when it is complete.
   * @throws {Dd2Error} RUN_FAILED, with the reason as its cause, when it cannot be written
   */
  async finish(header: CheckpointHeader): Promise<void> {
    await this.save(header);
    if (await this.saved(header.update)) return;
    throw new Dd2Error('RUN_FAILED', `the checkpoint of update ${header.update} could not be written`, {
      field: checkpointPath(this.options.folder, header.update),
      remedy: 'Is the disk full? Submit the run again to continue it',
      cause: this.#newest?.error,
    });
  }

  /** Resolves when nothing is being written any more; the thread and the memory for it are let go. */
  async settled(): Promise<void> {
    while (this.#writing) await this.#writing;
    const writer = this.#writer;
    this.#writer = undefined;
    this.#spare = undefined;
    await writer?.terminate();
  }

  #take(header: CheckpointHeader): Save {
    const { aggregators } = this.options;
    try {
      const copy = this.#spare ?? aggregators.allocateCopy(checkpointVectors);
      this.#spare = undefined;
      return new Save(header, copy, aggregators.snapshot(copy));
    } catch (error) {
      return new Save(header, {}, Promise.reject(Dd2Error.from(error))); // no memory for it
    }
  }

  #enqueue(save: Save): void {
    this.#newest = save;
    this.#waiting.push(save);
    while (this.#waiting.length > WAITING) this.#leaveOneOut();
    if (this.#current && !this.#isHeld(this.#current)) this.#pause?.abort(); // the newer one takes its place
    this.#writing ??= this.#writeWaiting();
  }

  #leaveOneOut(): void {
    const [left] = this.#waiting.splice(this.#waiting.findIndex((save) => !this.#isHeld(save)), 1);
    if (!left) return;
    left.error = new Dd2Error('UNAVAILABLE', 'the checkpoints before it are still being written', {
      field: checkpointPath(this.options.folder, left.header.update),
      remedy: 'Use a faster disk, or write fewer checkpoints (checkpoint.everyUpdates)',
    });
    this.#recycle(left);
    left.end(false);
    if (!this.#leavesOut) this.options.onTrouble(`the checkpoint of update ${left.header.update} is left out`, left.error);
    this.#leavesOut = true; // until the disk has caught up
  }

  async #writeWaiting(): Promise<void> {
    for (let save = this.#waiting.shift(); save; save = this.#waiting.shift()) {
      this.#current = save;
      for (const tell of this.#wantRoom.splice(0)) tell();
      await this.#write(save);
    }
    this.#current = undefined;
    this.#leavesOut = false;
    this.#writing = undefined;
  }

  async #write(save: Save): Promise<void> {
    const { folder, layout, verify, onSaved, onTrouble, backoffMs = BACKOFF_MS } = this.options;
    const { update } = save.header;
    const started = performance.now();
    for (let retry = 0; ; retry++) {
      try {
        await save.taken;
        await saveCheckpoint(folder, layout, save.header, (path, tensors) => this.#thread().write(path, tensors, save.copy), verify);
        break;
      } catch (thrown) {
        save.error = Dd2Error.from(thrown);
        // Who may not write any more, and a copy that was never made, cannot be helped by time.
        const again = retry < RETRIES && save.error.code !== 'FENCED' && (await save.taken.then(() => true, () => false));
        const delayMs = backoffMs * 2 ** retry;
        onTrouble(`the checkpoint of update ${update} could not be written; ${again ? `it is tried again in ${delayMs / 1000} s` : 'it is given up'}`, save.error);
        if (again && !(await this.#isReplaced(save, delayMs))) continue;
        if (save !== this.#newest) this.#recycle(save);
        return save.end(false);
      }
    }
    this.#recycle(save);
    save.end(true);
    onSaved(update, (performance.now() - started) / 1000);
    await this.#retain(update);
  }

  /** Waits, unless a newer one is there; it takes the place of one that no evaluation needs. */
  async #isReplaced(save: Save, delayMs: number): Promise<boolean> {
    const replaced = (): boolean => this.#waiting.length > 0 && !this.#isHeld(save);
    if (!replaced()) {
      this.#pause = new AbortController();
      await sleep(delayMs, undefined, { signal: this.#pause.signal }).catch(() => undefined);
    }
    return replaced();
  }

  async #retain(newest: number): Promise<void> {
    const { folder, keep, best, verify, onTrouble } = this.options;
    try {
      await verify();
      const held = new Set(this.options.held());
      const lowest = best();
      await retainCheckpoints(folder, { newest, keep, held: lowest === undefined ? held : held.add(lowest) });
    } catch (error) {
      onTrouble('checkpoints that are no longer needed could not be removed', Dd2Error.from(error));
    }
  }

  #isHeld({ header }: Save): boolean {
    return new Set(this.options.held()).has(header.update);
  }

  #thread(): CheckpointWriter {
    if (this.#writer?.ended !== false) this.#writer = new CheckpointWriter();
    return this.#writer;
  }

  /** One copy is enough to keep: more are needed only while the disk is behind. */
  #recycle({ copy, taken }: Save): void {
    void taken.then(
      () => (this.#spare ??= copy),
      () => undefined,
    );
  }
}

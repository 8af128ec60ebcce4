import { randomBytes } from 'node:crypto';
import { constants, link, mkdir, open, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { syncFolder } from '@dd2/assets';
import { Dd2Error } from '@dd2/core';
import type { Logger } from 'pino';
import { z } from 'zod';
import { hasEnded, processIdentitySchema, thisProcess, type ProcessIdentity } from './process-identity.js';
import { namesIn, writeAtomically } from './run-folder.js';

const FOLDER = 'fence';
const RELEASED = 'released';
const BEAT_BYTES = 20;
const DEFAULT_TTL_MS = 10_000;
/** beats, and looks of who waits for one, in the time after which a silent holder is given up */
const BEATS_PER_TTL = 10;
const LOOKS_PER_TTL = 40;

const claimSchema = processIdentitySchema.extend({
  epoch: z.string().regex(/^\d+$/),
  /** tells this claim from another of the same process */
  token: z.string(),
  /** silence after which the holder is given up: it beats ten times as often */
  ttlMs: z.number().positive().max(86_400_000),
});
type Claim = z.infer<typeof claimSchema>;

export interface FenceOptions {
  /** a holder that cannot be seen to have ended is given up when it has been silent for that long; 10 s unless told */
  readonly ttlMs?: number;
  readonly logger?: Logger;
}

/**
 * Lets one coordinator at a time work on a data folder, with nothing but the folder: two of them would advance the same run.
 *
 * `<dataDir>/fence/` holds, for each coordinator, `epoch-<n>` with who it is, made exclusively: one process makes a given one,
 * on a local as on a network file system. The highest is the owner; `beat-<n>` changes as long as it lives. The next epoch may be
 * claimed when the owner has released its own, has ended (seen in this machine's process table), or has been silent for its
 * time to live on the claimant's clock: clocks of two machines are never compared. An owner that was only suspended finds the
 * newer epoch with its next beat or write.
 */
export class Fence {
  readonly #lost = new AbortController();
  readonly #beating: NodeJS.Timeout;
  #beat: Promise<void> = Promise.resolve();
  #beats = 0;
  #released = false;

  private constructor(
    private readonly folder: string,
    /** grows by at least one with each coordinator of the data folder */
    readonly epoch: bigint,
    /** of the data folder, for ever */
    readonly clusterId: string,
    private readonly options: { readonly ttlMs: number; readonly madeDataDir: boolean; readonly logger: Logger | undefined },
  ) {
    this.#beating = setInterval(() => {
      this.#beat = this.#beat.then(() => this.#beatOnce());
    }, options.ttlMs / BEATS_PER_TTL).unref();
  }

  /**
   * @throws {Dd2Error} RUN_CONFLICT naming host and process when another coordinator lives, INVALID_ARGUMENT when the folder
   * cannot be made
   */
  static async acquire(dataDir: string, { ttlMs = DEFAULT_TTL_MS, logger }: FenceOptions = {}): Promise<Fence> {
    const folder = join(dataDir, FOLDER);
    const made = await mkdir(dataDir, { recursive: true })
      .then(async (first) => {
        await mkdir(folder, { recursive: true });
        return first;
      })
      .catch((cause: unknown) => {
        throw unusable(dataDir, cause);
      });
    const self = await thisProcess();
    for (;;) {
      const owner = await newestEpoch(folder);
      if (owner > 0n) await requireFree(dataDir, owner, ttlMs, logger);
      const epoch = owner + 1n;
      const claim: Claim = { epoch: String(epoch), token: randomBytes(16).toString('hex'), ttlMs, ...self };
      const claimed = await makeClaim(folder, epoch, claim).catch((cause: unknown) => {
        throw unusable(dataDir, cause);
      });
      if (!claimed) continue; // somebody was faster: it is the owner now
      const fence = new Fence(folder, epoch, await clusterIdIn(folder), { ttlMs, madeDataDir: made !== undefined, logger });
      try {
        await fence.#beatOnce();
        await fence.verify();
        await removeEarlier(folder, epoch);
        return fence;
      } catch (error) {
        clearInterval(fence.#beating);
        throw error;
      }
    }
  }

  /** Fires when a newer coordinator has taken over, with the error FENCED as its reason. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * Before every durable write. A listing may come from the cache of a network file system for a while, a file that is opened
   * does not: so both are asked.
   * @throws {Dd2Error} FENCED when a newer epoch exists, UNAVAILABLE when the folder cannot be read
   */
  async verify(): Promise<void> {
    this.#lost.signal.throwIfAborted();
    if (this.#released) throw this.#fenced('has given the data folder back');
    const newest = await newestEpoch(this.folder).catch((cause: unknown) => {
      throw new Dd2Error('UNAVAILABLE', 'the data folder cannot be read', { field: this.folder, remedy: 'Check the disk or the network file system', cause });
    });
    if (newest === this.epoch) return;
    const fenced = this.#fenced(newest > this.epoch ? `is stale: epoch ${newest} has taken the data folder over` : 'has lost its data folder: it was removed or replaced');
    clearInterval(this.#beating);
    this.#lost.abort(fenced);
    throw fenced;
  }

  /** Lets the next coordinator claim the data folder at once. A folder that was made for nothing goes again. */
  async release(): Promise<void> {
    if (this.#released) return;
    clearInterval(this.#beating);
    await this.#beat;
    const owner = await this.verify().then(() => true, () => false);
    this.#released = true;
    if (!owner) return;
    const dataDir = dirname(this.folder);
    if (this.options.madeDataDir && (await readdir(dataDir)).join() === FOLDER) {
      await rm(this.folder, { recursive: true, force: true });
      await rmdir(dataDir).catch(() => undefined); // somebody has just put something there
      return;
    }
    await writeBeat(this.folder, this.epoch, RELEASED);
  }

  /** A beat that cannot be written is no reason to stop: who takes over leaves a newer epoch, and that is. */
  async #beatOnce(): Promise<void> {
    try {
      await this.verify();
      await writeBeat(this.folder, this.epoch, String(++this.#beats));
    } catch (error) {
      const { code, message } = Dd2Error.from(error);
      if (code === 'FENCED') this.options.logger?.error({ epoch: String(this.epoch) }, message);
      else this.options.logger?.warn({ epoch: String(this.epoch), err: error }, `a sign of life could not be written: ${message}`);
    }
  }

  #fenced(what: string): Dd2Error {
    return new Dd2Error('FENCED', `this coordinator, epoch ${this.epoch}, ${what}`, { field: dirname(this.folder), remedy: 'Use the coordinator that works on it now' });
  }
}

/** Returns once the epoch may be followed by the next. @throws {Dd2Error} RUN_CONFLICT when its holder lives */
async function requireFree(dataDir: string, epoch: bigint, defaultTtlMs: number, logger: Logger | undefined): Promise<void> {
  const folder = join(dataDir, FOLDER);
  const holder = await readClaim(folder, epoch);
  const who = { epoch: String(epoch), host: holder?.host, pid: holder?.pid };
  const ttlMs = holder?.ttlMs ?? defaultTtlMs;
  const first = await readBeat(folder, epoch);
  let silentMs = 0;
  for (let beat = first; beat !== RELEASED; beat = await readBeat(folder, epoch)) {
    if (beat !== first) throw conflict(dataDir, holder);
    if (holder && (await hasEnded(holder))) {
      logger?.info(who, 'the coordinator before has ended without a word; its data folder is taken over');
      return;
    }
    if (silentMs >= ttlMs) {
      logger?.warn(who, `the coordinator before has been silent for ${ttlMs / 1000} s; its data folder is taken over`);
      return;
    }
    const looked = performance.now();
    await sleep(ttlMs / LOOKS_PER_TTL);
    // A folder, or this process, that stood still for a while must not pass for a silent holder.
    silentMs += Math.min(performance.now() - looked, (2 * ttlMs) / LOOKS_PER_TTL);
    if ((await newestEpoch(folder)) !== epoch) return; // taken meanwhile: the claim of the next epoch will show it
  }
}

function conflict(dataDir: string, holder: ProcessIdentity | undefined): Dd2Error {
  const who = holder ? `process ${holder.pid} on ${holder.host}` : 'another coordinator';
  return new Dd2Error('RUN_CONFLICT', `${who} already works on this data folder`, {
    field: dataDir,
    remedy: 'Use its coordinator (dd2 run ... --server), wait for it, or choose another --data-dir',
    ...(holder && { details: { host: holder.host, pid: holder.pid } }),
  });
}

/** Makes the epoch's file, complete and on disk, unless there is one. @returns whether it was made here */
async function makeClaim(folder: string, epoch: bigint, claim: Claim): Promise<boolean> {
  const content = JSON.stringify(claim);
  const path = epochPath(folder, epoch);
  const draft = join(folder, `claim-${claim.token}`);
  try {
    await writeFile(draft, content, { flag: 'wx', flush: true });
    await link(draft, path).catch(async (error: unknown) => {
      // Where a file system has no links: the content may then be seen incomplete, as that of a holder nobody knows.
      if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(codeOf(error) ?? '')) throw error;
      await writeFile(path, content, { flag: 'wx', flush: true });
    });
  } catch (error) {
    // ENOENT: the owner has swept the draft away. EEXIST may be an echo: the request arrived twice at a file server.
    if (codeOf(error) === 'ENOENT') return false;
    if (codeOf(error) !== 'EEXIST') throw error;
    if ((await readClaim(folder, epoch))?.token !== claim.token) return false;
  } finally {
    await rm(draft, { force: true });
  }
  await writeFile(join(folder, 'newest'), String(epoch), { flush: true });
  await syncFolder(folder);
  return true;
}

/** The highest epoch that was claimed; 0 for none. */
async function newestEpoch(folder: string): Promise<bigint> {
  const [names, newest] = await Promise.all([namesIn(folder), readIfThere(join(folder, 'newest'))]);
  const epochs = names.flatMap((name) => /^epoch-(\d{1,19})$/.exec(name)?.[1] ?? []);
  if (epochs.length > 0 && /^\d{1,19}$/.test(newest ?? '')) epochs.push(newest ?? '');
  return epochs.map(BigInt).reduce((highest, epoch) => (epoch > highest ? epoch : highest), 0n);
}

/** Called by the owner only. */
async function clusterIdIn(folder: string): Promise<string> {
  const path = join(folder, 'cluster');
  const known = await readIfThere(path);
  if (known !== undefined && /^[0-9a-f]{32}$/.test(known)) return known;
  const clusterId = randomBytes(16).toString('hex');
  await writeAtomically(path, clusterId);
  return clusterId;
}

async function removeEarlier(folder: string, epoch: bigint): Promise<void> {
  for (const name of await namesIn(folder)) {
    const earlier = /^(?:epoch|beat)-(\d{1,19})$/.exec(name)?.[1];
    if (name.startsWith('claim-') || (earlier !== undefined && BigInt(earlier) < epoch)) await rm(join(folder, name), { force: true });
  }
}

async function readClaim(folder: string, epoch: bigint): Promise<Claim | undefined> {
  try {
    return claimSchema.parse(JSON.parse(await readFile(epochPath(folder, epoch), 'utf8')));
  } catch {
    return undefined;
  }
}

async function readBeat(folder: string, epoch: bigint): Promise<string | undefined> {
  return (await readIfThere(beatPath(folder, epoch)))?.trim();
}

/** Writes over what is there, which needs no room: a full disk must not pass for silence. */
async function writeBeat(folder: string, epoch: bigint, beat: string): Promise<void> {
  await using file = await open(beatPath(folder, epoch), constants.O_WRONLY | constants.O_CREAT, 0o600);
  await file.write(beat.padEnd(BEAT_BYTES), 0);
  await file.sync();
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function unusable(dataDir: string, cause: unknown): Dd2Error {
  return new Dd2Error('INVALID_ARGUMENT', `the data folder cannot be made: ${cause instanceof Error ? cause.message : String(cause)}`, {
    field: dataDir,
    remedy: 'Choose another --data-dir',
    cause,
  });
}

const epochPath = (folder: string, epoch: bigint): string => join(folder, `epoch-${epoch}`);
const beatPath = (folder: string, epoch: bigint): string => join(folder, `beat-${epoch}`);
const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

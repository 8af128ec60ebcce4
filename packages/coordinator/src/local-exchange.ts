import { rmSync } from 'node:fs';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Dd2Error } from '@dd2/core';
import { isAlive } from './process-identity.js';

const SHARED_MEMORY = '/dev/shm';
/** Less room than this in shared memory, and the data folder is used. */
const ROOM_BYTES = 2 * 1024 ** 3;
const PROBE = 'probe';

/**
 * A folder in shared memory (or in the data folder) where workers on the coordinator's machine read parameters and leave
 * gradients: the bytes are written once and read into place once, where a gRPC stream handles each of them several times
 * (bench/update.mjs). Workers elsewhere cannot read the probe and stream; the values, and so the bits, are the same.
 */
export class LocalExchange {
  private constructor(
    readonly folder: string,
    /** name of the file whose content is `token` */
    readonly probe: string,
    readonly token: string,
    private readonly released: () => void,
  ) {}

  static async open(dataDir: string, sharedMemory = SHARED_MEMORY): Promise<LocalExchange> {
    // A data folder may be shared by machines, whose process ids mean nothing to each other.
    const identity = createHash('sha256').update(`${hostname()} ${dataDir}`).digest('hex').slice(0, 12);
    // First, since it makes room: the shared memory of a container outlives the coordinator in it.
    await removeAbandoned(sharedMemory, identity);
    const parent = (await availableBytes(sharedMemory)) >= ROOM_BYTES ? sharedMemory : join(dataDir, 'exchange');
    await mkdir(parent, { recursive: true });
    await removeAbandoned(parent, identity);
    const folder = join(parent, `dd2-${identity}-${process.pid}`);
    await mkdir(folder, { mode: 0o700 });
    // A forced exit leaves nothing behind; what a SIGKILL leaves, the next coordinator of the data folder removes.
    const cleanUp = (): void => rmSync(folder, { recursive: true, force: true });
    process.once('exit', cleanUp);
    const token = randomBytes(16).toString('hex');
    await writeFile(join(folder, PROBE), token, { mode: 0o600 });
    return new LocalExchange(folder, PROBE, token, () => process.off('exit', cleanUp));
  }

  /**
   * The one file that a session's worker writes its gradients to. It is read before the worker gets the lease that leads to
   * the next one, so it can be written over. @throws {Dd2Error} PROTOCOL when the worker names another
   */
  gradientPath(session: string, name: string): string {
    if (name !== `${session}.gradient`) {
      throw new Dd2Error('PROTOCOL', `"${name.slice(0, 128)}" is not the gradient file of session ${session}`, { field: 'gradient_file' });
    }
    return join(this.folder, name);
  }

  /** Removes what a worker whose session is over has left. */
  async removeGradientOf(session: string): Promise<void> {
    await rm(join(this.folder, `${session}.gradient`), { force: true });
  }

  async close(): Promise<void> {
    this.released();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Removes what coordinators of the same data folder left when they were killed, be it under the id that this process has now. */
async function removeAbandoned(parent: string, identity: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    const pid = new RegExp(`^dd2-${identity}-(\\d+)$`).exec(name)?.[1];
    if (pid !== undefined && (Number(pid) === process.pid || !isAlive(Number(pid)))) await rm(join(parent, name), { recursive: true, force: true });
  }
}

async function availableBytes(path: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch {
    return 0;
  }
}

import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Dd2Error } from '@dd2/core';
import { fromStatus, type ExportRunResponse } from '@dd2/proto';

/** A piece of an export. */
export type ExportPiece = Pick<ExportRunResponse, 'fileName' | 'totalBytes' | 'update' | 'data'>;

export interface ReceivedFile {
  readonly path: string;
  readonly bytes: number;
  /** checkpoint that it was made from */
  readonly update: number;
}

/**
 * Writes an export as it arrives; the file is complete or not there at all, and replaces one of that name.
 * @param out the name that the coordinator gives it, in this folder, unless told
 * @throws {Dd2Error} what the coordinator answers; INVALID_ARGUMENT for a place that cannot be written, PROTOCOL when bytes are missing
 */
export async function receiveFile(pieces: AsyncIterable<ExportPiece>, out?: string): Promise<ReceivedFile> {
  let received: (ReceivedFile & { readonly total: number }) | undefined;
  let temporary: Temporary | undefined;
  try {
    for await (const { fileName, totalBytes, update, data } of pieces) {
      received ??= { path: path.resolve(out ?? safeName(fileName)), bytes: 0, update, total: Number(totalBytes) };
      temporary ??= await Temporary.beside(received.path, out === undefined ? received.path : '--out');
      await temporary.write(data);
      received = { ...received, bytes: received.bytes + data.byteLength };
    }
    if (!received || !temporary || received.bytes !== received.total) {
      throw new Dd2Error('PROTOCOL', `the coordinator sent ${received?.bytes ?? 0} of ${received?.total ?? 0} bytes`, { remedy: 'Export again' });
    }
    await temporary.become(received.path);
    const { path: place, bytes, update } = received;
    return { path: place, bytes, update };
  } catch (thrown) {
    await temporary?.remove();
    throw fromStatus(thrown);
  }
}

/** A file beside the one that it will be. */
class Temporary {
  private constructor(
    private readonly path: string,
    private readonly handle: Awaited<ReturnType<typeof open>>,
    private readonly field: string,
  ) {}

  static async beside(target: string, field: string): Promise<Temporary> {
    const temporary = `${target}.${process.pid}.part`;
    return new Temporary(temporary, await open(temporary, 'w').catch((cause: unknown) => unwritable(target, field, cause)), field);
  }

  async write(data: Uint8Array): Promise<void> {
    for (let written = 0; written < data.byteLength; ) written += (await this.handle.write(data, written).catch((cause: unknown) => unwritable(this.path, this.field, cause))).bytesWritten;
  }

  async become(target: string): Promise<void> {
    await this.handle.sync();
    await this.handle.close();
    await rename(this.path, target).catch((cause: unknown) => unwritable(target, this.field, cause));
  }

  async remove(): Promise<void> {
    await this.handle.close().catch(() => undefined);
    await rm(this.path, { force: true });
  }
}

/** What a coordinator calls a file is a name in this folder, or nothing is written. */
function safeName(name: string): string {
  if (/^[a-z0-9][a-z0-9._-]{0,200}$/i.test(name)) return name;
  throw new Dd2Error('PROTOCOL', 'the coordinator gave the file a name that is none', { remedy: 'Name one with --out' });
}

function unwritable(file: string, field: string, cause: unknown): never {
  throw new Dd2Error('INVALID_ARGUMENT', `${file} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`, { field, remedy: 'Choose a place that you may write to, with room for it', cause });
}

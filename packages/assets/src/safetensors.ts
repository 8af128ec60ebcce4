import { createHash } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { Dd2Error, typedArrays, type HostTensor } from '@dd2/core';
import { assetErrors, corruptFile, unreadableFile, unwritableFile, type FileErrors } from './file-errors.js';
import { bytesOfTensor, decodeHeader, elements, encodeHeader, HEADER_PREFIX_BYTES, inFileOrder, type TensorEntry, type TensorShape } from './safetensors-header.js';

/** Bytes per write, read and hash step: the event loop is free in between, and no file needs one buffer of its size. */
const CHUNK_BYTES = 4 * 1024 * 1024;

export interface FileDigest {
  /** lower-case hexadecimal */
  readonly sha256: string;
  readonly bytes: number;
}

export interface SafetensorsLimits {
  /** refuse longer headers; 16 MiB unless told */
  readonly headerBytes?: number;
  /** refuse larger files; 64 GiB unless told */
  readonly fileBytes?: number;
}

export interface ReadOptions {
  readonly limits?: SafetensorsLimits;
  /** what the file's manifest says; a file that differs is refused */
  readonly expect?: FileDigest;
  /** codes and remedy of problems; those of assets unless told */
  readonly errors?: FileErrors;
}

export interface SafetensorsFile {
  readonly tensors: Record<string, HostTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The file as a sequence of byte ranges, most of them views of the tensors: `bytes` in all.
 * @throws {Dd2Error} INVALID_ARGUMENT for a tensor that contradicts itself
 */
export function encodeSafetensors(tensors: Readonly<Record<string, HostTensor>>, metadata: Readonly<Record<string, string>> = {}): { bytes: number; chunks: Iterable<Uint8Array> } {
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    if (elements(shape) === data.length) continue;
    throw new Dd2Error('INVALID_ARGUMENT', `"${name}" cannot be written as a tensor: shape [${shape.join(', ')}], ${data.length} elements`, { field: name, remedy: 'Give as many elements as the shape says' });
  }
  return encodeSafetensorsFrom(tensors, (_, { data }) => [bytesOf(data)], metadata);
}

/**
 * As `encodeSafetensors`, for tensors that lie in pieces: `piecesOf` gives those of one, in order; together they have the bytes that
 * its shape says.
 */
export function encodeSafetensorsFrom<T extends TensorShape>(
  tensors: Readonly<Record<string, T>>,
  piecesOf: (name: string, tensor: T) => Iterable<Uint8Array>,
  metadata: Readonly<Record<string, string>> = {},
): { bytes: number; chunks: Iterable<Uint8Array> } {
  const ordered = inFileOrder(tensors);
  const header = encodeHeader(ordered, metadata);
  function* parts(): Iterable<Uint8Array> {
    yield header;
    for (const [name, tensor] of ordered) yield* piecesOf(name, tensor);
  }
  return { bytes: ordered.reduce((sum, [, tensor]) => sum + bytesOfTensor(tensor), header.byteLength), chunks: chunksOf(parts()) };
}

/**
 * Writes tensors to `path`, replacing what was there; when the promise resolves the bytes are on disk (fsync).
 * A file that could not be written completely is removed.
 * @throws {Dd2Error} INTERNAL when the file system refuses, INVALID_ARGUMENT as `encodeSafetensors`
 */
export async function writeSafetensors(path: string, tensors: Readonly<Record<string, HostTensor>>, metadata: Readonly<Record<string, string>> = {}): Promise<FileDigest> {
  const { bytes, chunks } = encodeSafetensors(tensors, metadata);
  const hash = createHash('sha256');
  let handle: FileHandle;
  try {
    handle = await open(path, 'w');
  } catch (thrown) {
    throw unwritableFile(path, thrown);
  }
  try {
    for (const chunk of chunks) {
      hash.update(chunk);
      for (let written = 0; written < chunk.byteLength; ) written += (await handle.write(chunk, written)).bytesWritten;
    }
    await handle.sync();
    await handle.close();
  } catch (thrown) {
    await handle.close().catch(() => undefined);
    await rm(path, { force: true });
    throw unwritableFile(path, thrown);
  }
  return { sha256: hash.digest('hex'), bytes };
}

/**
 * Reads a whole file, one buffer per tensor. Memory is reserved only after header, offsets and file size agree.
 * @throws {Dd2Error} ASSET_MISSING or ASSET_CORRUPT (or those of `options.errors`) naming file, tensor and remedy
 */
export async function readSafetensors(path: string, options: ReadOptions = {}): Promise<SafetensorsFile> {
  const errors = options.errors ?? assetErrors;
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    return await readFrom(handle, path, options, errors);
  } catch (thrown) {
    throw unreadableFile(errors, path, thrown);
  } finally {
    await handle?.close();
  }
}

async function readFrom(handle: FileHandle, path: string, { limits = {}, expect }: ReadOptions, errors: FileErrors): Promise<SafetensorsFile> {
  const { headerBytes = 16 * 1024 * 1024, fileBytes = 64 * 1024 ** 3 } = limits;
  const { size } = await handle.stat();
  if (expect && size !== expect.bytes) throw corruptFile(errors, path, `the file has ${size} bytes, its manifest says ${expect.bytes}`, 'bytes');
  if (size > fileBytes) throw corruptFile(errors, path, `the file has ${size} bytes, more than the limit of ${fileBytes}`, 'bytes');
  if (size < HEADER_PREFIX_BYTES) throw corruptFile(errors, path, `the file has ${size} bytes and ends before its header`, 'header');

  const hash = expect && createHash('sha256');
  let position = 0;
  const readInto = async (target: Uint8Array): Promise<void> => {
    for (const part of chunksOf([target])) {
      let filled = 0;
      while (filled < part.byteLength) {
        const { bytesRead } = await handle.read(part, filled, part.byteLength - filled, position);
        if (bytesRead === 0) throw corruptFile(errors, path, 'the file became shorter while it was read', 'bytes');
        filled += bytesRead;
        position += bytesRead;
      }
      hash?.update(part);
    }
  };

  const prefix = Buffer.alloc(HEADER_PREFIX_BYTES);
  await readInto(prefix);
  const declared = prefix.readBigUInt64LE();
  if (declared > BigInt(Math.min(headerBytes, size - HEADER_PREFIX_BYTES))) {
    throw corruptFile(errors, path, `the header declares ${declared} bytes; the limit is ${headerBytes} and the file has ${size}`, 'header');
  }
  const json = new Uint8Array(Number(declared));
  await readInto(json);
  const { entries, metadata } = decodeHeader(json, size - HEADER_PREFIX_BYTES - json.byteLength, path, errors);

  const tensors: [string, HostTensor][] = [];
  for (const entry of entries) {
    const tensor = allocate(entry, path, errors);
    await readInto(bytesOf(tensor.data));
    tensors.push([entry.name, tensor]);
  }
  if (expect && hash?.digest('hex') !== expect.sha256) throw corruptFile(errors, path, 'the contents do not match the SHA-256 of the manifest', 'sha256');
  return { tensors: Object.fromEntries(tensors), metadata };
}

function allocate({ name, dtype, shape, from, to }: TensorEntry, path: string, errors: FileErrors): HostTensor {
  const Constructor = typedArrays[dtype];
  try {
    return { dtype, shape, data: new Constructor(elements(shape)) };
  } catch (cause) {
    throw corruptFile(errors, path, `a tensor of ${to - from} bytes does not fit this machine`, name, cause);
  }
}

function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function* chunksOf(parts: Iterable<Uint8Array>): Iterable<Uint8Array> {
  for (const part of parts) {
    for (let at = 0; at < part.byteLength; at += CHUNK_BYTES) yield part.subarray(at, at + CHUNK_BYTES);
  }
}

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { receiveFile, type ExportPiece } from './receive-file.js';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dd2-cli-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const piece = (data: string, first: Partial<ExportPiece> = {}): ExportPiece => ({ fileName: '', totalBytes: 0n, update: 0, data: Buffer.from(data), ...first });

async function* sent(...pieces: readonly (ExportPiece | Error)[]): AsyncGenerator<ExportPiece> {
  for (const one of pieces) {
    await Promise.resolve();
    if (one instanceof Error) throw one;
    yield one;
  }
}

const out = (): string => path.join(folder, 'generator.onnx');

it('writes the pieces, over what was there', async () => {
  await writeFile(out(), 'an earlier and longer one');
  expect(await receiveFile(sent(piece('abc', { fileName: 'x.onnx', totalBytes: 5n, update: 7 }), piece('de')), out())).toEqual({ path: out(), bytes: 5, update: 7 });
  expect(await readFile(out(), 'utf8')).toBe('abcde');
  expect(await readdir(folder)).toEqual(['generator.onnx']);
});

it.each([
  ['breaks off', [piece('abc', { totalBytes: 5n }), Object.assign(new Error('reset'), { code: 14, details: 'reset' })], { code: 'UNAVAILABLE' }],
  ['ends too early', [piece('abc', { totalBytes: 5n })], { code: 'PROTOCOL', remedy: 'Export again' }],
  ['does not end', [piece('abc', { totalBytes: 2n })], { code: 'PROTOCOL' }],
  ['is empty', [], { code: 'PROTOCOL' }],
])('leaves what was there when the export %s', async (_, pieces, error) => {
  await writeFile(out(), 'an earlier one');
  await expect(receiveFile(sent(...pieces), out())).rejects.toMatchObject(error);
  expect(await readFile(out(), 'utf8')).toBe('an earlier one');
  expect(await readdir(folder)).toEqual(['generator.onnx']);
});

it('says so when the place cannot be written', async () => {
  await expect(receiveFile(sent(piece('a', { totalBytes: 1n })), path.join(folder, 'no', 'such', 'folder'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: '--out' });
  await expect(receiveFile(sent(piece('a', { totalBytes: 1n })), folder)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: '--out' });
  expect(await readdir(folder)).toEqual([]);
});

it.each(['../evil.onnx', '/etc/evil', '', '.hidden', 'a/b', 'a\\b', 'a\n'])('takes no name like %j from a coordinator', async (fileName) => {
  await expect(receiveFile(sent(piece('a', { fileName, totalBytes: 1n })))).rejects.toMatchObject({ code: 'PROTOCOL', remedy: 'Name one with --out' });
});

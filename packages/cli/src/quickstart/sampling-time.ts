import { sampleImages, type SampleOptions } from '../sample-images.js';

const images = 100;
const repetitions = 5;

/** Milliseconds per image of sampling and decoding in this process: the median of a few batches of 100. */
export async function samplingTime(options: Pick<SampleOptions, 'dataDir' | 'runId' | 'sampler'>): Promise<number> {
  const { milliseconds } = await sampleImages({ ...options, count: images, seed: 1, repetitions });
  const sorted = milliseconds.toSorted((a, b) => a - b);
  return (sorted[Math.floor(sorted.length / 2)] ?? NaN) / images;
}

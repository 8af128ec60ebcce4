import type { SeriesAnswer, SeriesRequest } from './series-layer.js';

/** Points of one run, by series; the test adds to them. */
export type FakeRun = Map<string, { readonly x: number; readonly value: number }[]>;

/** Answers as the coordinator does: every point in exactly one bucket, all buckets within the range. */
export function answerOf(run: FakeRun, { names, from = -Infinity, to = Infinity, buckets }: SeriesRequest): SeriesAnswer {
  return {
    available: [...run].map(([name, points]) => ({ name, points: points.length })),
    updates: Math.max(0, ...[...run.values()].map((points) => points.at(-1)?.x ?? 0)),
    series: names.map((name) => {
      const points = (run.get(name) ?? []).filter(({ x }) => x >= from && x <= to);
      const size = Math.max(1, Math.ceil(points.length / buckets));
      const cut = Array.from({ length: Math.ceil(points.length / size) }, (_, index) => points.slice(index * size, (index + 1) * size));
      return {
        name,
        x: cut.map((bucket) => bucket[0]?.x ?? 0),
        mean: cut.map((bucket) => bucket.reduce((sum, { value }) => sum + value, 0) / bucket.length),
        min: cut.map((bucket) => Math.min(...bucket.map(({ value }) => value))),
        max: cut.map((bucket) => Math.max(...bucket.map(({ value }) => value))),
        count: cut.map((bucket) => bucket.length),
      };
    }),
  };
}

export function grow(run: FakeRun, name: string, from: number, to: number, value: (x: number) => number = (x) => Math.sin(x / 20)): void {
  const points = run.get(name) ?? [];
  for (let x = from; x < to; x += 1) points.push({ x, value: value(x) });
  run.set(name, points);
}

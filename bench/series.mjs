/**
 * How long the page waits for the metrics of a long run: the first view, zooms, and what the coordinator does for them.
 *
 *   node bench/series.mjs [--updates 1000000] [--buckets 600] [--zooms 200] [--viewers 50] [--data-dir FOLDER]
 *
 * Makes a run of so many updates (half a gigabyte of metrics.jsonl for a million) and asks as the page does, for the series of all its
 * charts at once. `parsing alone` is JSON.parse of every line and nothing else, in the same process. The answers are those of the
 * thread, compressed JSON; `through the thread` adds the way there and back. CPU is what the process needed: where others compute too,
 * wall-clock time is theirs as well. `--data-dir` keeps the run for the next time.
 */
import { createReadStream, existsSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const dist = path.join(path.dirname(import.meta.dirname), 'packages/coordinator/dist');
const { SeriesLibrary } = await import(path.join(dist, 'series/series-library.js'));
const { SeriesReader } = await import(path.join(dist, 'series/series-reader.js'));
const { makeLongRun } = await import(path.join(dist, 'testing/long-run.js'));

const { values } = parseArgs({
  options: {
    updates: { type: 'string', default: '1000000' },
    buckets: { type: 'string', default: '600' },
    zooms: { type: 'string', default: '200' },
    viewers: { type: 'string', default: '50' },
    'data-dir': { type: 'string' },
  },
});
const [updates, buckets, zooms, viewers] = [values.updates, values.buckets, values.zooms, values.viewers].map(Number);
const dataDir = values['data-dir'] ?? mkdtempSync(path.join(tmpdir(), 'dd2-bench-'));
const cacheDir = path.join(dataDir, 'cache', 'series');
const run = { runId: 'mnist-long', path: path.join(dataDir, 'runs/mnist-long/metrics.jsonl'), active: false };
const names = [
  ...['tune.loss', 'regress.loss', 'guidance.loss', 'generator.loss', 'generator.gap'],
  ...['tune.gradientNorm', 'regress.gradientNorm', 'guidance.gradientNorm', 'generator.gradientNorm'],
  ...['guidancePerGenerator', 'samplesPerSecond', 'computeMs', 'transferMs', 'reduceMs', 'optimizeMs', 'publishMs'].map((metric) => `update.${metric}`),
];
const view = { names, axis: 'updates', buckets, positions: [], logarithmic: false };

const print = (what, figure, note = '') => console.log(`${what.padEnd(34)}${figure.padStart(12)}  ${note}`);
const ms = (value) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
const mb = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
async function timed(work) {
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  const result = await work();
  const [wall, { user, system }] = [performance.now() - started, process.cpuUsage(cpu)];
  return [wall, result, (user + system) / 1_000];
}
/** Zooms as people make them: anywhere, from the whole run down to a few hundred updates, on any axis. */
function* zoomQueries(count, extent) {
  for (let i = 0; i < count; i++) {
    const [axis, end] = extent[i % extent.length];
    const width = end * 4 ** -(1 + (i % 6));
    const from = ((i * 0.6180339887) % 1) * (end - width);
    yield { ...view, axis, from, to: from + width };
  }
}

try {
  if (!existsSync(run.path)) {
    const [time] = await timed(async () => makeLongRun(dataDir, updates, { runId: run.runId, grids: false }));
    print('making the run', ms(time), `${updates} updates, ${mb(statSync(run.path).size)}`);
  }
  const [parsing] = await timed(async () => {
    for await (const line of createInterface({ input: createReadStream(run.path) })) JSON.parse(line);
  });
  print('parsing alone', ms(parsing));

  rmSync(cacheDir, { recursive: true, force: true });
  let library = new SeriesLibrary({ cacheDir });
  const [indexing, first, indexingCpu] = await timed(() => library.answer(run, view));
  print('first view, nothing cached', ms(indexing), `${ms(indexingCpu)} of CPU, ${(indexing / parsing).toFixed(2)} x parsing; the cache has ${mb(statSync(path.join(cacheDir, `${run.runId}.series`)).size)}`);
  print('  in memory', mb(library.bytes), `${(library.bytes / first.updates).toFixed(0)} bytes an update`);
  const [json, positions] = [JSON.stringify(first).length, (await library.answer(run, { ...view, positions: [first.updates] })).positions[0]];
  library.close();

  const reopened = [];
  const reopenedCpu = [];
  let bytes;
  for (let i = 0; i < 5; i++) {
    library = new SeriesLibrary({ cacheDir });
    const [time, answer, cpu] = await timed(() => library.compressedJson(run, view));
    reopened.push(time);
    reopenedCpu.push(cpu);
    bytes = answer.length;
    if (i < 4) library.close();
  }
  for (const times of [reopened, reopenedCpu]) times.sort((a, b) => a - b);
  print('first view, started again', ms(quantile(reopened, 0.5)), `${ms(quantile(reopenedCpu, 0.5))} of CPU; worst of 5 ${ms(reopened.at(-1))}; ${(parsing / quantile(reopened, 0.5)).toFixed(0)} x faster than parsing; ${json} bytes of JSON, ${bytes} compressed`);
  print('  in memory', mb(library.bytes), 'values are read when a zoom needs them');

  const extent = [['updates', positions.update], ['generatorUpdates', positions.generatorUpdates], ['samples', positions.samples], ['wallSeconds', positions.wallSeconds]];
  for (const [what, asked] of [['zoom, first', zoomQueries(zooms, extent)], ['zoom, again', [...zoomQueries(zooms, extent)].map((query) => ({ ...query, buckets: buckets - 1 }))]]) {
    const [times, cpus] = [[], []];
    for (const query of asked) {
      const [time, , cpu] = await timed(() => library.compressedJson(run, query));
      times.push(time);
      cpus.push(cpu);
    }
    for (const all of [times, cpus]) all.sort((a, b) => a - b);
    print(what, ms(quantile(times, 0.5)), `${ms(quantile(cpus, 0.5))} of CPU; p95 ${ms(quantile(times, 0.95))} (CPU ${ms(quantile(cpus, 0.95))}), worst ${ms(times.at(-1))}, of ${zooms} on four axes`);
  }
  print('  in memory', mb(library.bytes));
  library.close();

  const reader = new SeriesReader({ dataDir, runs: () => [run] });
  await reader.compressedJson(run, view);
  const cpu = process.cpuUsage();
  const [together] = await timed(() => Promise.all(Array.from({ length: viewers }, () => reader.compressedJson(run, { ...view, from: 1 }))));
  const { user, system } = process.cpuUsage(cpu);
  print(`through the thread, ${viewers} viewers`, ms(together / viewers), `each, when all ask the same at once; ${((user + system) / 1000 / viewers).toFixed(2)} ms of CPU each`);
  await reader.close();

  if (values['data-dir'] === undefined) {
    library = new SeriesLibrary({ cacheDir });
    await library.answer(run, view);
    truncateSync(run.path, statSync(run.path).size - 1_000_000);
    const [cut, answer] = await timed(() => library.answer(run, view));
    print('after the end was dropped', ms(cut), `${updates - answer.updates} updates fewer; ${(indexing / cut).toFixed(0)} x faster than all anew`);
    library.close();
  }
} finally {
  if (values['data-dir'] === undefined) rmSync(dataDir, { recursive: true, force: true });
}

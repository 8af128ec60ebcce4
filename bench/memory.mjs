/**
 * Memory of coordinator and worker over a long run: resident memory is read from /proc every few seconds while one run is trained,
 * checkpointed and evaluated without end; printed is the slope of a straight line through the readings after a warm-up, in MB per
 * hour, beside the mean, for each process.
 *
 *   node bench/memory.mjs [--minutes 60] [--warm-up 5] [--every 5] [--redis-url URL]
 *
 * Linux. Needs a built checkout (`npm run bootstrap`).
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const root = path.dirname(import.meta.dirname);
const program = path.join(root, 'packages/cli/bin/dd2.mjs');
const { values: options } = parseArgs({
  options: { minutes: { type: 'string', default: '60' }, 'warm-up': { type: 'string', default: '5' }, every: { type: 'string', default: '5' }, 'redis-url': { type: 'string' } },
});
const [minutes, warmUp, every] = [options.minutes, options['warm-up'], options.every].map(Number);

const dataDir = mkdtempSync(path.join(tmpdir(), 'dd2-bench-'));
const settings = {
  'phases.tune.updates': 20,
  'phases.distill.align': 20,
  'phases.distill.generatorUpdates': 10_000_000,
  'evaluation.everyGeneratorUpdates': 200,
  'evaluation.samples': 500,
  'checkpoint.everyUpdates': 100,
};
const sets = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
const store = options['redis-url'] === undefined ? [] : ['--redis-url', options['redis-url']];
const children = [];
const start = (...args) => {
  const child = spawn(process.execPath, [program, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  return child;
};

try {
  const coordinator = start('coordinator', '--data-dir', dataDir, '--port', '0', ...store);
  const address = await new Promise((resolve, reject) => {
    let text = '';
    coordinator.stdout.on('data', (chunk) => {
      text += chunk;
      const found = /coordinator at (\S+)/.exec(text)?.[1];
      if (found) resolve(found);
    });
    coordinator.once('exit', () => reject(new Error('the coordinator ended')));
  });
  const worker = start('worker', '--coordinator', address, '--data-dir', dataDir);
  const submitted = start('run', 'submit', path.join(root, 'configs/mnist-pure.yaml'), '--server', address, '--data-dir', dataDir, ...sets);
  await new Promise((resolve, reject) => submitted.once('exit', (code) => (code === 0 ? resolve() : reject(new Error('the run was refused')))));
  const processes = { coordinator, worker };
  const readings = Object.fromEntries(Object.keys(processes).map((name) => [name, []]));
  const began = performance.now();
  for (let next = warmUp * 60; next <= minutes * 60; next += every) {
    await sleep(Math.max(0, began + next * 1_000 - performance.now()));
    for (const [name, { pid }] of Object.entries(processes)) readings[name].push([next / 3_600, residentMegabytes(pid)]);
  }
  const run = readdirSync(path.join(dataDir, 'runs'))[0];
  const updates = readFileSync(path.join(dataDir, 'runs', run, 'metrics.jsonl'), 'utf8').trim().split('\n').length;
  const evaluations = readdirSync(path.join(dataDir, 'runs', run, 'evaluations')).filter((name) => /^\d+\.json$/.test(name)).length;
  console.log(`${minutes} minutes, ${updates} updates, ${evaluations} evaluations; readings from minute ${warmUp} on`);
  for (const [name, points] of Object.entries(readings)) {
    const { slope, mean } = line(points);
    console.log(`${name.padEnd(12)} mean ${mean.toFixed(1)} MB  slope ${slope >= 0 ? '+' : ''}${slope.toFixed(2)} MB/h  (${((100 * slope) / mean).toFixed(2)} % an hour)  first ${points[0][1].toFixed(1)}  last ${points.at(-1)[1].toFixed(1)}`);
  }
} finally {
  for (const child of children.reverse()) child.kill('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true });
}

function residentMegabytes(pid) {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  return (pages * 4_096) / 1e6;
}

/** Least squares. */
function line(points) {
  const mean = (values) => values.reduce((total, value) => total + value, 0) / values.length;
  const [x, y] = [mean(points.map(([t]) => t)), mean(points.map(([, value]) => value))];
  const slope = points.reduce((total, [t, value]) => total + (t - x) * (value - y), 0) / points.reduce((total, [t]) => total + (t - x) ** 2, 0);
  return { slope, mean: y };
}

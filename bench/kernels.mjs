/**
 * The reduction and optimizer kernels beside a plain JavaScript loop and beside a copy of as many bytes.
 *
 *   node bench/kernels.mjs [millions of floats = 10] [rounds = 9]
 *
 * Each round runs everything once, in turn, so that a disturbance hits all alike; medians are printed. The copy is the
 * kernels' own memory.copy over the bytes that the kernel reads and writes: the speed limit of the machine's memory.
 */
import { Kernels } from '../packages/engine/dist/index.js';

const floats = Number(process.argv[2] ?? 10) * 1e6;
const rounds = Number(process.argv[3] ?? 9);
const adam = { lr: 1e-4, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.01, step: 5, gradientScale: 0.5 };

const kernels = Kernels.create();
const blocks = Array.from({ length: 4 }, () => kernels.allocate(floats));
for (const [k, block] of blocks.entries()) {
  const view = block.view();
  for (let i = 0; i < floats; i++) view[i] = Math.abs(Math.sin(i + k)) + 0.1;
}
const [a, b, c, d] = blocks;
const [x, y, z, w] = blocks.map((block) => block.view());

/** `touched`: how many times 4 bytes an element are read or written; a copy of n floats touches 2 n. */
const cases = [
  { name: 'addInto', touched: 3, kernel: () => kernels.addInto(c, a, b), loop: () => { for (let i = 0; i < floats; i++) z[i] = x[i] + y[i]; } },
  { name: 'accumulate', touched: 3, kernel: () => kernels.accumulate(c, a), loop: () => { for (let i = 0; i < floats; i++) z[i] += x[i]; } },
  { name: 'scale', touched: 2, kernel: () => kernels.scale(c, 0.5), loop: () => { const s = Math.fround(0.5); for (let i = 0; i < floats; i++) z[i] *= s; } },
  { name: 'sumOfSquares', touched: 1, kernel: () => kernels.sumOfSquares(a), loop: () => { let sum = 0; for (let i = 0; i < floats; i++) sum += x[i] * x[i]; return sum; } },
  { name: 'nonFiniteCount', touched: 1, kernel: () => kernels.nonFiniteCount(a), loop: () => { let count = 0; for (let i = 0; i < floats; i++) if (!Number.isFinite(x[i])) count++; return count; } },
  { name: 'ema', touched: 3, kernel: () => kernels.ema(c, a, 0.99), loop: () => { for (let i = 0; i < floats; i++) z[i] += 0.01 * (x[i] - z[i]); } },
  {
    name: 'adamw',
    touched: 7,
    kernel: () => kernels.adamw(a, b, c, d, adam),
    loop: () => {
      const { lr, beta1, beta2, epsilon, weightDecay, step, gradientScale } = adam;
      const size = lr / (1 - beta1 ** step);
      const root = 1 / Math.sqrt(1 - beta2 ** step);
      for (let i = 0; i < floats; i++) {
        const g = y[i] * gradientScale;
        z[i] = beta1 * z[i] + (1 - beta1) * g;
        w[i] = beta2 * w[i] + (1 - beta2) * g * g;
        x[i] = x[i] * (1 - lr * weightDecay) - (size * z[i]) / (Math.sqrt(w[i]) * root + epsilon);
      }
    },
  },
];

let sink = 0;
function milliseconds(work) {
  const started = performance.now();
  sink += Number(work() ?? 0);
  return performance.now() - started;
}
const median = (values) => values.toSorted((p, q) => p - q)[values.length >> 1];

const times = new Map(cases.map(({ name }) => [name, { kernel: [], loop: [], copy: [] }]));
for (let round = -1; round < rounds; round++) {
  for (const { name, touched, kernel, loop } of cases) {
    // 4 bytes x touched elements move in pieces of a copy of all floats, 2 x 4 bytes each
    const copies = () => { for (let part = touched; part > 0; part -= 2) { const n = Math.round((floats * Math.min(part, 2)) / 2); kernels.copy(d.slice(0, n), b.slice(0, n)); } };
    const sample = { kernel: milliseconds(kernel), loop: milliseconds(loop), copy: milliseconds(copies) };
    if (round < 0) continue; // the first round compiles
    for (const [kind, ms] of Object.entries(sample)) times.get(name)[kind].push(ms);
  }
}

console.log(`${floats / 1e6}M floats, median of ${rounds} (ms)\n`);
console.log('kernel'.padEnd(16), ...['SIMD', 'JS loop', 'copy', 'loop/SIMD', 'SIMD/copy', 'GB/s'].map((title) => title.padStart(10)));
for (const { name, touched } of cases) {
  const { kernel, loop, copy } = Object.fromEntries(Object.entries(times.get(name)).map(([kind, values]) => [kind, median(values)]));
  const row = [kernel.toFixed(2), loop.toFixed(2), copy.toFixed(2), (loop / kernel).toFixed(1), (kernel / copy).toFixed(2), ((touched * 4 * floats) / kernel / 1e6).toFixed(1)];
  console.log(name.padEnd(16), ...row.map((cell) => cell.padStart(10)));
}
if (Number.isNaN(sink)) console.log('a sum was not a number');

/**
 * How long a checkpoint holds up the updates: the time that `save` takes, and what the updates beside the write take longer than
 * those without one.
 *
 *   node bench/checkpoint.mjs [--sizes 1,10,100] [--compute 40] [--updates 20] [--rounds 5] [--every 200] [--data-dir FOLDER]
 *
 * Sizes are millions of parameters of one network. An update is what the coordinator does in one (the gradient of one micro-batch
 * is summed, AdamW and average, publishing), alternating between the networks; the workers' computing is a pause of `compute` ms, or
 * a loop in another thread with `--busy`. Each round takes `updates` updates without and as many with a save at their beginning, in
 * turn; medians over the rounds are printed. `all at once` is what it would cost to copy the state while the updates wait, `waiting`
 * what it would cost to wait until the files are on the disk.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

const dist = path.join(path.dirname(import.meta.dirname), 'packages/coordinator/dist');
const { Aggregators } = await import(path.join(dist, 'aggregators.js'));
const { SHARD_FLOATS, shardCount, shardLength } = await import(path.join(dist, 'aggregator.js'));
const { checkpointVectors } = await import(path.join(dist, 'checkpoint.js'));
const { Checkpointer } = await import(path.join(dist, 'checkpointer.js'));
const { RunFolder } = await import(path.join(dist, 'run-folder.js'));

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1,10,100' },
    compute: { type: 'string', default: '40' },
    updates: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '5' },
    every: { type: 'string', default: '200' },
    'data-dir': { type: 'string', default: tmpdir() },
    busy: { type: 'boolean', default: false },
  },
});
const [compute, updates, rounds, every] = [values.compute, values.updates, values.rounds, values.every].map(Number);
const optimizer = { learningRate: 1e-4, betas: [0.9, 0.99], epsilon: 1e-8, weightDecay: 0, clip: 0, warmup: 0, decay: 'constant', floor: 0 };
const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
const since = (started) => performance.now() - started;

const spinning = new Int32Array(new SharedArrayBuffer(4));
const spinner = values.busy && new Worker('const { workerData } = require("worker_threads"); for (;;) { Atomics.wait(workerData, 0, 0); while (Atomics.load(workerData, 0)) Math.sin(1); }', { eval: true, workerData: spinning });
async function computing() {
  Atomics.store(spinning, 0, 1);
  Atomics.notify(spinning, 0);
  await sleep(compute);
  Atomics.store(spinning, 0, 0);
}

console.log(`computing ${compute} ms${values.busy ? ' (busy)' : ''}, ${rounds} rounds of 2 x ${updates} updates; medians in ms\n`);
const columns = ['parameters', 'update', 'save()', 'beside it', 'stall', `stall of ${every}`, 'all at once', 'waiting', 'on disk after'];
console.log(columns.map((title) => title.padStart(15)).join(''));
for (const millions of values.sizes.split(',').map(Number)) {
  const size = Math.round(millions * 1e6);
  const layout = { network: 'generator', size, tensors: Array.from({ length: shardCount(size) }, (_, shard) => ({ name: `t${shard}`, shape: [shardLength(size, shard)], offset: shard * SHARD_FLOATS, size: shardLength(size, shard) })) };
  const dataDir = mkdtempSync(path.join(values['data-dir'], 'dd2-bench-'));
  const aggregators = new Aggregators(size);
  try {
    const folder = new RunFolder(dataDir, 'bench');
    await folder.create();
    const written = [];
    const checkpointer = new Checkpointer({ folder, layout, aggregators, keep: 1, held: () => [], best: () => undefined, verify: () => Promise.resolve(), onSaved: () => written.push(performance.now()), onTrouble: (what, error) => { throw error; } });
    const header = (update) => ({ runId: 'bench', epoch: 1, specSha256: '', update, phase: 'distill', generatorUpdates: 0, versions: { generator: 0, guidance: 0 }, skippedUpdates: 0, skippedInARow: 0 });
    for (const name of checkpointVectors) await aggregators.load(name, new Float32Array(size).fill(0.5));
    const gradient = new Uint8Array(new Float32Array(SHARD_FLOATS).fill(0.01).buffer);

    let count = 0;
    /** @returns milliseconds without the computing */
    async function update() {
      const network = ['guidance', 'generator'][count++ % 2];
      let started = performance.now();
      const reduction = aggregators.open(count, network, size, 1);
      const opened = since(started);
      await computing();
      started = performance.now();
      for (let shard = 0; shard < shardCount(size); shard++) await reduction.contribute({ from: 0, to: 1 }, shard, gradient.subarray(0, shardLength(size, shard) * 4));
      await reduction.complete;
      const step = aggregators.optimize({ network, learningRate: 1e-4, optimizer, step: count, gradientScale: 1, ...(network === 'generator' ? { ema: { vector: 'generator_ema', decay: 0.99 } } : {}) });
      const published = aggregators.write(network, path.join(dataDir, network));
      await step;
      await published;
      return opened + since(started);
    }

    const figures = { update: [], save: [], beside: [], copy: [], written: [], latency: [] };
    for (let round = -1; round < rounds; round++) {
      const plain = [];
      for (let i = 0; i < updates; i++) plain.push(await update());
      const usual = [0, 1].map((parity) => mean(plain.filter((_, i) => i % 2 === parity)));

      const started = performance.now();
      await checkpointer.save(header(count));
      const save = since(started);
      let beside = 0;
      for (let i = 0; i < updates || written.length <= round + 1; i++) beside += (await update()) - usual[i % 2];
      const latency = written.at(-1) - started;
      if (count % 2 === 1) await update();

      const copy = aggregators.allocateCopy(checkpointVectors);
      const before = performance.now();
      await aggregators.snapshot(copy);
      const copied = since(before);
      if (round < 0) continue; // the first round maps memory and compiles
      for (const [name, value] of Object.entries({ update: compute + (usual[0] + usual[1]) / 2, save, beside, copy: copied, latency })) figures[name].push(value);
    }
    await checkpointer.settled();

    // The same files with nothing else going on: what an update would wait for.
    for (let round = 0; round < Math.min(3, rounds); round++) {
      const started = performance.now();
      await checkpointer.finish(header((count += 1)));
      figures.written.push(since(started));
    }
    await checkpointer.settled();
    const [time, save, beside, copy, onDisk, latency] = [figures.update, figures.save, figures.beside, figures.copy, figures.written, figures.latency].map(median);
    const stall = save + Math.max(0, beside);
    const row = [`${millions} M`, time.toFixed(1), save.toFixed(2), beside.toFixed(1), stall.toFixed(1), `${((100 * stall) / (every * time)).toFixed(3)} %`, copy.toFixed(1), onDisk.toFixed(0), latency.toFixed(0)];
    console.log(row.map((cell) => cell.padStart(15)).join(''));
  } finally {
    await aggregators.terminate();
    rmSync(dataDir, { recursive: true, force: true });
  }
}
await (spinner && spinner.terminate());

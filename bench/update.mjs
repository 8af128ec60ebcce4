/**
 * Time of a guidance and of a generator update beside the PyTorch reference, alternating in one run on the same cores:
 * compute alone (the update's program in one engine) and through coordinator and worker (from plan to commit).
 *
 *   node bench/update.mjs --reference FOLDER [--threads 1] [--batch 32] [--rounds 5] [--updates 20]
 *
 * FOLDER holds the reference's dd2_ref.py; /usr/bin/python3 needs torch. Needs a built checkout (`npm run bootstrap`).
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const root = path.dirname(import.meta.dirname);
const { Engine } = await import(path.join(root, 'packages/engine/dist/index.js'));
const { arDiffusionNetwork, generatorProgram, guidanceProgram, initialize } = await import(path.join(root, 'packages/models/dist/index.js'));
const { ModelBundle, modelConfig } = await import(path.join(root, 'packages/coordinator/dist/index.js'));

const { values: options } = parseArgs({
  options: { reference: { type: 'string' }, threads: { type: 'string', default: '1' }, batch: { type: 'string', default: '32' }, rounds: { type: 'string', default: '5' }, updates: { type: 'string', default: '20' } },
});
if (options.reference === undefined) throw new Error('--reference FOLDER is needed: the folder of dd2_ref.py');
const [threads, batch, rounds, updates] = [options.threads, options.batch, options.rounds, options.updates].map(Number);
const networks = ['guidance', 'generator'];

const bundle = await ModelBundle.open(path.join(root, 'assets/mnist'));
const model = modelConfig(bundle.manifest, { headWidth: 96, headBlocks: 2 });
const time = { min: 0.25, max: 1, stratified: true };
const programs = {
  guidance: guidanceProgram(model, { batch, draws: 2, time, contexts: 'snapped' }),
  generator: generatorProgram(model, { batch, draws: 4, time, contexts: 'snapped', form: 'sid', alpha: 1, weight: 'inverse-time' }),
};

const engine = await Engine.start({ provider: 'cpu', intraOpThreads: threads });
const network = arDiffusionNetwork(model, 'generator');
const vectors = { generator: initialize(network, 1), guidance: initialize(network, 2), teacher: bundle.teacher, tokenizer: bundle.tokenizer };
for (const [key, flat] of Object.entries(vectors)) engine.writeParameters(key, flat.length, 0, new Uint8Array(flat.slice().buffer));
for (const name of networks) await engine.loadProgram(name, programs[name]);
const keys = Object.fromEntries(Object.keys(vectors).map((key) => [key, key]));
let update = 0;
const computeAlone = async (name, count) => {
  const times = [];
  for (let i = 0; i < count; i++) {
    const { computeMs } = await engine.execute({ program: name, seed: 0, update: update++, microBatches: [{ index: 0 }], parameters: keys });
    times.push(computeMs);
  }
  return times;
};

const python = spawn('/usr/bin/python3', [path.join(root, 'bench/update_reference.py'), options.reference, String(threads), String(batch)], { stdio: ['pipe', 'pipe', 'inherit'] });
const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]();
const reference = async (name, count) => {
  python.stdin.write(`${name} ${count}\n`);
  const { value, done } = await lines.next();
  if (done) throw new Error('the reference ended');
  return JSON.parse(value);
};

/** A whole run of a few updates with one worker process; wall times of its updates by network. */
const throughCluster = async () => {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'dd2-bench-'));
  const settings = {
    'phases.tune.updates': 1,
    'phases.tune.batch': 16,
    'phases.tune.microBatches': 1,
    'phases.distill.align': 1,
    'phases.distill.generatorUpdates': updates,
    'phases.distill.cycle.guidance': 1,
    'phases.distill.guidance.batch': batch,
    'phases.distill.guidance.microBatches': 1,
    'phases.distill.generator.batch': batch,
    'phases.distill.generator.microBatches': 1,
    'evaluation.everyGeneratorUpdates': 1000,
    'evaluation.samples': 100,
    'evaluation.finalSamples': 100,
    'execution.intraOpThreads': threads,
  };
  const args = ['train', path.join(root, 'configs/mnist-pure.yaml'), '--workers', '1', '--data-dir', dataDir, ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])];
  const child = spawn(process.execPath, [path.join(root, 'packages/cli/bin/dd2.mjs'), ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`dd2 train ended with ${code}`);
  const [run] = readdirSync(path.join(dataDir, 'runs'));
  const metrics = readFileSync(path.join(dataDir, 'runs', run, 'metrics.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  rmSync(dataDir, { recursive: true });
  const distill = metrics.filter(({ phase }) => phase === 'distill').slice(4); // the first ones create sessions
  return Object.fromEntries(networks.map((name) => [name, distill.filter((line) => line.network === name).map(({ timing }) => timing)]));
};

const times = Object.fromEntries(networks.map((name) => [name, { reference: [], alone: [], cluster: [], overhead: [] }]));
for (const name of networks) {
  await reference(name, 3);
  await computeAlone(name, 3);
}
for (let round = 0; round < rounds; round++) {
  for (const name of networks) {
    times[name].reference.push(...(await reference(name, updates)));
    times[name].alone.push(...(await computeAlone(name, updates)));
  }
  const cluster = await throughCluster();
  for (const name of networks) {
    times[name].cluster.push(...cluster[name].map(({ wallMs }) => wallMs));
    times[name].overhead.push(...cluster[name].map(({ overhead }) => overhead));
  }
}
python.stdin.end();
await engine.close();

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
console.log(`batch ${batch}, ${threads} thread(s), medians of ${rounds} x ${updates} updates, alternating; ratio = ours / PyTorch`);
console.log('update      PyTorch ms   compute alone ms  ratio   coordinator + worker ms  ratio   outside compute');
for (const name of networks) {
  const { reference: pytorch, alone, cluster, overhead } = times[name];
  const [a, b, c] = [median(pytorch), median(alone), median(cluster)];
  console.log(
    `${name.padEnd(10)} ${a.toFixed(1).padStart(11)} ${b.toFixed(1).padStart(18)} ${(b / a).toFixed(2).padStart(6)} ${c.toFixed(1).padStart(25)} ${(c / a).toFixed(2).padStart(6)} ${(100 * median(overhead)).toFixed(1).padStart(15)} %`,
  );
}

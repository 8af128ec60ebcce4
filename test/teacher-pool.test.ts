import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { checkpointHashes, eventually, eventsOf, metricsOf, root, runDd2, startDd2, temporaryFolder, type Dd2Process } from './support/processes.js';

/** A short run through every phase, in which every one of them asks the teacher for something but align. */
const spec = join(root, 'configs/mnist.yaml');
const short = {
  'phases.tune': '{ updates: 5, batch: 16, microBatches: 4, draws: 2, time: { min: 0.02 }, optimizer: { learningRate: 1.0e-3 }, ema: 0.9 }',
  'phases.regress': '{ pairs: 300, odeSteps: 3, updates: 5, batch: 16, microBatches: 4, optimizer: { learningRate: 1.0e-3 }, ema: 0.9 }',
  'phases.distill.align': '3',
  'phases.distill.generatorUpdates': '5',
  'phases.distill.guidance.microBatches': '4',
  'phases.distill.guidance.batch': '16',
  'phases.distill.generator.microBatches': '4',
  // logits of more than fit a lease's message: they are streamed
  'phases.distill.generator.batch': '128',
  'evaluation.everyGeneratorUpdates': '2',
  'evaluation.samples': '100',
  'evaluation.finalSamples': '200',
  'checkpoint.everyUpdates': '5',
};
const pool = { ...short, 'teacher.placement': 'pool' };
const set = (settings: Readonly<Record<string, string>>): string[] => Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
const TOTAL = 5 + 5 + 3 + 4 * 5;
/** In align: the pool's next query is that of the first generator update ... */
const PAUSE = 11;
/** ... to which there are guidance updates left. */
const FIRST_GENERATOR_UPDATE = 5 + 5 + 3 + 3;

/** Coordinator and workers, each a process of its own. */
class Cluster {
  readonly #processes: Dd2Process[] = [];
  #address = '';

  constructor(readonly dataDir: string) {}

  async start(): Promise<this> {
    const coordinator = this.#start(['coordinator', '--data-dir', this.dataDir, '--port', '0']);
    this.#address = (await coordinator.until(/coordinator at (\S+)/))[1] ?? '';
    return this;
  }

  async worker(...options: string[]): Promise<Dd2Process> {
    const worker = this.#start(['worker', '--coordinator', this.#address, '--data-dir', this.dataDir, ...options]);
    await worker.until(/connected/);
    return worker;
  }

  teacher(...options: string[]): Promise<Dd2Process> {
    return this.worker('--role', 'teacher', ...options);
  }

  /** Runs a command that asks the coordinator, to its end. */
  async ask(...args: string[]): Promise<string> {
    const { code, output } = await runDd2([...args, '--server', this.#address, '--data-dir', this.dataDir]);
    expect(code, output).toBe(0);
    return output;
  }

  async submit(settings: Readonly<Record<string, string>>, ...more: string[]): Promise<string> {
    const output = await this.ask('run', 'submit', spec, ...set(settings), ...more);
    return /mnist-[0-9a-f]+/.exec(output)?.[0] ?? expect.fail(output);
  }

  async end(): Promise<void> {
    for (const { child } of this.#processes) child.kill('SIGTERM');
    for (const { exit } of this.#processes) await exit;
  }

  #start(args: readonly string[]): Dd2Process {
    const started = startDd2(args);
    this.#processes.push(started);
    return started;
  }
}

async function kill(process: Dd2Process): Promise<void> {
  process.child.kill('SIGKILL');
  await process.exit;
}

/** The flat parameters in a checkpoint's file. */
async function parametersOf(dataDir: string, runId: string, name: string): Promise<Float32Array> {
  const file = await readFile(join(dataDir, 'runs', runId, 'checkpoints', String(TOTAL), `${name}.safetensors`));
  const values = file.subarray(8 + Number(file.readBigUInt64LE(0)));
  return new Float32Array(values.buffer.slice(values.byteOffset, values.byteOffset + values.byteLength));
}

/** |a - b| / |b|, Euclidean norms over all parameters. */
function relativeDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  let difference = 0;
  let size = 0;
  b.forEach((value, i) => {
    difference += ((a[i] ?? NaN) - value) ** 2;
    size += value ** 2;
  });
  return Math.sqrt(difference / size);
}

describe('a teacher pool', { timeout: 240_000 }, () => {
  const folders: { dispose(): Promise<void> }[] = [];
  const clusters: Cluster[] = [];
  /** a run with one ordinary worker and one of the pool, on a cluster that stays up */
  let reference: { readonly cluster: Cluster; readonly runId: string; readonly hashes: Record<string, string> };

  const open = async (): Promise<Cluster> => {
    const folder = await temporaryFolder();
    folders.push(folder);
    const cluster = await new Cluster(folder.path).start();
    clusters.push(cluster);
    return cluster;
  };
  const waits = async ({ dataDir }: Cluster, runId: string): Promise<number> => {
    const messages = (await eventsOf(dataDir, runId)).map(({ message }) => String(message));
    return messages.filter((message) => message.includes('waits for a teacher pool')).length;
  };

  beforeAll(async () => {
    const cluster = await open();
    await cluster.worker();
    await cluster.teacher();
    const runId = await cluster.submit(pool);
    expect(await cluster.ask('run', 'watch', runId)).toContain(`done after ${TOTAL}`);
    reference = { cluster, runId, hashes: await checkpointHashes(cluster.dataDir, TOTAL, runId) };
    expect(Object.keys(reference.hashes)).toEqual(['generator.safetensors', 'generator_ema.safetensors', 'guidance.safetensors', 'optimizer.safetensors']);
    expect(await waits(cluster, runId)).toBe(0);
  }, 240_000);

  afterEach(async () => {
    for (const cluster of clusters.splice(0)) if (cluster !== reference.cluster) await cluster.end();
  });

  afterAll(async () => {
    await reference.cluster.end();
    for (const folder of folders) await folder.dispose();
  });

  it('gives the parameters of the fused form, and the figures of its samplers', async () => {
    const { cluster, runId } = reference;
    const fused = await cluster.submit(short);
    await cluster.ask('run', 'watch', fused);
    for (const name of ['generator', 'generator_ema', 'guidance']) {
      const [split, whole] = [await parametersOf(cluster.dataDir, runId, name), await parametersOf(cluster.dataDir, fused, name)];
      expect(relativeDifference(split, whole), name).toBeLessThan(1e-6);
    }
    const figures = async (id: string): Promise<unknown> => {
      const samplers = ['--sampler', 'teacher', '--sampler', 'multi-step-4', '--samples', '100'];
      const measured = JSON.parse((await cluster.ask('evaluate', id, ...samplers, '--json')).replace(/^[^[]*/, '')) as { sampler: string; fid: number; accuracy: number }[];
      return measured.map(({ sampler, fid, accuracy }) => ({ sampler, fid, accuracy }));
    };
    expect(await figures(runId)).toEqual(await figures(fused));
  });

  it('gives the same bits with more workers of either kind, some of which stream', async () => {
    const cluster = await open();
    await Promise.all([cluster.worker(), cluster.worker('--stream'), cluster.teacher(), cluster.teacher('--stream')]);
    const runId = await cluster.submit(pool);
    await cluster.ask('run', 'watch', runId);
    expect(await checkpointHashes(cluster.dataDir, TOTAL, runId)).toEqual(reference.hashes);
  });

  it('that is lost pauses generator updates only, and says so; the run goes on with the next one, to the same bits', async () => {
    const cluster = await open();
    const { dataDir } = cluster;
    await cluster.worker();
    const first = await cluster.teacher();
    const runId = await cluster.submit(pool, '--until-update', String(PAUSE));
    await cluster.ask('run', 'watch', runId);
    await kill(first);
    await cluster.ask('run', 'resume', runId);

    // Nobody knows the teacher: everything up to the first generator update is committed, and nothing more.
    await eventually(async () => ((await waits(cluster, runId)) > 0 ? true : undefined));
    const committed = await eventually(async () => {
      const metrics = await metricsOf(dataDir, runId);
      return metrics.length >= FIRST_GENERATOR_UPDATE ? metrics : undefined;
    });
    expect(committed.map(({ update }) => update)).toEqual(Array.from({ length: FIRST_GENERATOR_UPDATE }, (_, update) => update));
    expect(committed.slice(PAUSE).map(({ network }) => network)).toEqual(Array.from({ length: FIRST_GENERATOR_UPDATE - PAUSE }, () => 'guidance'));
    expect(await cluster.ask('run', 'show', runId)).toMatch(/waits for.*a teacher pool: start `dd2 worker --role teacher`/);

    // The next one is killed as soon as it has made the run go on; the one after stays.
    const second = await cluster.teacher();
    await eventually(async () => ((await metricsOf(dataDir, runId)).length > FIRST_GENERATOR_UPDATE ? true : undefined));
    await kill(second);
    await cluster.teacher();
    expect(await cluster.ask('run', 'watch', runId)).toContain(`done after ${TOTAL}`);
    expect(await checkpointHashes(dataDir, TOTAL, runId)).toEqual(reference.hashes);
    expect((await metricsOf(dataDir, runId)).map(({ update }) => update)).toEqual(Array.from({ length: TOTAL }, (_, update) => update));
    const messages = (await eventsOf(dataDir, runId)).map(({ message }) => String(message));
    const waited = messages.findIndex((message) => message.includes('waits for a teacher pool'));
    expect(messages.slice(waited + 1).some((message) => message.includes('the run goes on'))).toBe(true);
  });
});

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { managedSecrets } from '../../packages/cli/src/kubernetes/secrets.js';
import { shortRun, spec, UPDATES } from '../support/short-run.js';
import { Installation } from './installation.js';

const shownRun = z.looseObject({ runId: z.string(), state: z.string(), update: z.number().default(0) });
const checkpoints = z.array(z.looseObject({ update: z.int(), files: z.array(z.looseObject({ name: z.string(), sha256: z.string() })) }));
const workerList = z.array(z.looseObject({ state: z.string() }));

/** `npm run test:kubernetes`: DD2_TEST_IMAGE and DD2_TEST_REDIS_IMAGE name images that the nodes have, where they are not those of the manifests. */
describe('a cluster', () => {
  const installation = new Installation(process.env['DD2_TEST_NAMESPACE'] ?? 'dd2-test', { dd2: process.env['DD2_TEST_IMAGE'], redis: process.env['DD2_TEST_REDIS_IMAGE'] });
  beforeAll(() => installation.apply());
  afterAll(() => installation.dispose());

  const started = performance.now();
  /** Looks again and again until `look` finds something; what goes wrong meanwhile is part of it. */
  async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    let problem: unknown;
    for (let second = 0; second < 600; second++) {
      try {
        const found = await look();
        if (found !== undefined) {
          console.log(`${((performance.now() - started) / 1_000).toFixed(0).padStart(4)} s  ${what}`);
          return found;
        }
      } catch (thrown) {
        problem = thrown;
      }
      await delay(1_000);
    }
    throw new Error(`this has not come in ten minutes: ${what}`, { cause: problem });
  }
  const readyPods = (component: string, count: number): Promise<string[]> =>
    until(`${count} ready: ${component}`, async () => {
      const names = await installation.readyPods(component);
      return names.length === count ? names : undefined;
    });
  const shown = async (runId: string): Promise<z.infer<typeof shownRun>> => shownRun.parse(JSON.parse(await installation.dd2('run', 'show', runId, '--json')));
  const reached = (runId: string, update: number): Promise<unknown> => until(`update ${update}`, async () => ((await shown(runId)).update >= update ? true : undefined));
  const submit = async (changes: Readonly<Record<string, unknown>>, ...options: string[]): Promise<string> =>
    shownRun.parse(JSON.parse(await installation.dd2('run', 'submit', spec, '--json', ...shortRun(changes), ...options))).runId;
  const completed = async (runId: string): Promise<Record<string, string>> => {
    await until(`${runId} is completed`, async () => ((await shown(runId)).state === 'completed' ? true : undefined));
    const all = checkpoints.parse(JSON.parse(await installation.dd2('checkpoint', 'list', runId, '--json')));
    return Object.fromEntries((all.find(({ update }) => update === UPDATES)?.files ?? []).map(({ name, sha256 }) => [name, sha256]));
  };

  it('starts by itself, and makes its Secrets', async () => {
    for (const [component, count] of [['coordinator', 1], ['redis', 1], ['worker', 2]] as const) await readyPods(component, count);
    const secrets = (await installation.kubectl('get', 'secrets', '-l', 'app.kubernetes.io/managed-by=dd2', '-o', 'name')).trim().split('\n').sort();
    expect(secrets).toEqual(managedSecrets.map(({ name }) => `secret/${name}`).sort());
    await installation.logIn();
    const workers = await until('two workers are connected', async () => {
      const list = workerList.parse(JSON.parse(await installation.dd2('worker', 'list', '--json')));
      return list.length === 2 ? list : undefined;
    });
    expect(workers.map(({ state }) => state)).toEqual(['idle', 'idle']);
  });

  it('gives the same bits when pods are killed', async () => {
    const undisturbed = await completed(await submit({}));
    expect(Object.keys(undisturbed)).toHaveLength(4);
    const runId = await submit({}, '--new');
    await reached(runId, 10);
    const [victim = ''] = await installation.readyPods('worker');
    await installation.kubectl('delete', 'pod', victim, '--grace-period=0', '--force', '--wait=false');
    await reached(runId, 17);
    await installation.kubectl('delete', 'pod', 'dd2-coordinator-0', '--grace-period=0', '--force', '--wait=false');
    expect(await completed(runId)).toEqual(undisturbed);
    await readyPods('worker', 2);
  });

  it('drains a worker that is deleted, and takes in the one that replaces it', async () => {
    const runId = await submit({ seed: 1, 'phases.distill.generatorUpdates': 400 });
    await reached(runId, 12);
    const [leaving = ''] = await installation.readyPods('worker');
    await installation.kubectl('delete', 'pod', leaving);
    const { update } = await shown(runId);
    await reached(runId, update + 5);
    expect(await readyPods('worker', 2)).not.toContain(leaving);
    const events = await installation.dd2('run', 'logs', runId);
    expect(events).not.toMatch(/lease failed/i);
    await installation.dd2('run', 'cancel', runId);
  });

  it('takes a new authority for all of its certificates', async () => {
    await installation.kubectl('delete', 'secret', 'dd2-ca');
    await installation.kubectl('rollout', 'restart', 'statefulset/dd2-coordinator');
    await installation.kubectl('rollout', 'status', 'statefulset/dd2-coordinator', '--timeout=5m');
    await until('workers are connected with new certificates', async () => {
      await installation.logIn();
      return workerList.parse(JSON.parse(await installation.dd2('worker', 'list', '--json'))).length === 2 ? true : undefined;
    });
    await readyPods('redis', 1);
    const runId = await submit({ seed: 2 });
    expect(Object.keys(await completed(runId))).toHaveLength(4);
  });
});

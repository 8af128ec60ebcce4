import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../support/processes.js';
import { Cluster } from './cluster.js';
import { Laptop } from './laptop.js';
import { render } from './render.js';
import { hashesAtTheEnd, hashesOfThisMachine, submit } from './short-run.js';

let cluster: Cluster | undefined;
let laptop: Laptop | undefined;

describe('kubectl apply -k infra/k8s/overlays/teacher-pool', () => {
  beforeAll(async () => {
    cluster = await Cluster.create(await render(join(root, 'infra/k8s/overlays/teacher-pool')));
  });
  afterAll(async () => {
    laptop?.close();
    await cluster?.dispose();
  });

  it('gives the bits of one machine, with the teacher on workers of its own', async () => {
    if (!cluster) throw new Error('there is no cluster');
    const { pods } = cluster;
    await cluster.apply();
    await cluster.until('every pod is ready', 300, () => [...pods.values()].every(({ ready }) => ready));
    laptop = await Laptop.logIn(cluster);
    const listed = JSON.parse(await laptop.dd2('worker', 'list', '--json')) as { name: string; pool: string }[];
    expect(listed.filter(({ pool }) => pool === 'teacher').map(({ name }) => name)).toEqual(cluster.podsOf('teacher-worker').map(({ identity }) => identity.name));
    const runId = await submit(laptop, { 'teacher.placement': 'pool' });
    const hashes = await hashesAtTheEnd(cluster, laptop, runId);
    expect(Object.keys(hashes)).toHaveLength(4);
    cluster.log('the same run on this machine, with one worker');
    expect(hashes).toEqual(await hashesOfThisMachine());
  });
});

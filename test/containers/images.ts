import { join } from 'node:path';
import { z } from 'zod';
import { root } from '../support/processes.js';
import type { ImageDefaults } from './container-arguments.js';
import { inspectImage, must, run } from './podman.js';

const localBases = z.object({ node: z.string(), redis: z.string() });

/** Repository of an image that is not made here -> one of this machine that stands for it where no registry can be reached. */
const standIns: Readonly<Record<string, () => Promise<string>>> = {
  'docker.io/library/redis': async () => localBases.parse(JSON.parse(await must(process.execPath, [join(root, 'infra/docker/local-base.mjs'), 'podman']))).redis,
};

/** Finds the images that manifests name on this machine. @throws Error for one that is not there */
export async function findImages(names: Iterable<string>): Promise<ReadonlyMap<string, ImageDefaults>> {
  const found = new Map<string, ImageDefaults>();
  for (const name of new Set(names)) {
    const local = (await run('podman', ['image', 'exists', name])).code === 0 ? name : await standIn(name);
    found.set(name, { name: local, user: (await inspectImage(local)).Config.User });
  }
  return found;
}

async function standIn(name: string): Promise<string> {
  const repository = name.replace(/@.*$/, '').replace(/:[^/:]+$/, '');
  const find = standIns[repository];
  if (!find) throw new Error(`the image ${name} is not on this machine: npm run test:containers builds it`);
  return find();
}

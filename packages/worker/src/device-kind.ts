import { readdir, readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { ProviderName } from '@dd2/engine';

/**
 * The kind of device that a worker computes on, for people: the model name of the processor, or of the GPU where the driver
 * tells. Empty when that is not known, or when the machine has GPUs of several kinds.
 */
export async function deviceKind(provider: ProviderName, nvidia = '/proc/driver/nvidia/gpus'): Promise<string> {
  const kinds = provider === 'cpu' ? cpus().map(({ model }) => model) : provider === 'cuda' ? await nvidiaModels(nvidia) : [];
  const [kind = '', ...others] = new Set(kinds.map((model) => model.replace(/\s+/g, ' ').trim().slice(0, 128)));
  return others.length === 0 ? kind : '';
}

/** What the driver says of each GPU: a folder with a file `information`, in it a line `Model: NAME`. */
async function nvidiaModels(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return Promise.all(
    names.map(async (name) => /^Model:(.*)$/m.exec(await readFile(join(folder, name, 'information'), 'utf8').catch(() => ''))?.[1] ?? ''),
  );
}

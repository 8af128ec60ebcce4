import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { kubernetesObject, type KubernetesObject } from './objects.js';

const run = promisify(execFile);

/** The objects of a kustomization, as `kubectl apply -k` would send them. @throws Error for anything in them that is not understood here */
export async function render(folder: string): Promise<KubernetesObject[]> {
  const { stdout } = await run('kubectl', ['kustomize', folder], { maxBuffer: 64 << 20 });
  return parseAllDocuments(stdout).map((document) => {
    const object: unknown = document.toJS();
    const parsed = kubernetesObject.safeParse(object);
    if (parsed.success) return parsed.data;
    const { kind, metadata } = z.looseObject({ kind: z.string(), metadata: z.looseObject({ name: z.string() }) }).parse(object);
    throw new Error(`${kind} ${metadata.name} of ${folder} says something that is not understood here:\n${z.prettifyError(parsed.error)}`);
  });
}

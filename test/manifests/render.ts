import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { root } from '../support/processes.js';
import type { KubernetesObject, Rendering } from './objects.js';

const fileNames = ['kustomization.yaml', 'kustomization.yml', 'Kustomization'];

/** A folder that kustomize reads. */
export interface KustomizeFolder {
  /** relative to the repository */
  readonly path: string;
  /** a component is nothing by itself: it changes what it is added to */
  readonly component: boolean;
  readonly file: { readonly resources?: readonly string[]; readonly components?: readonly string[]; readonly [field: string]: unknown };
}

/** Every folder below with a kustomization, in the order of their names. */
export function findKustomizations(folder: string): KustomizeFolder[] {
  const entries = readdirSync(join(root, folder), { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  const own = entries.filter(({ name }) => fileNames.includes(name));
  if (own.length > 1) throw new Error(`${folder} has more than one kustomization`);
  const below = entries.filter((entry) => entry.isDirectory()).flatMap(({ name }) => findKustomizations(join(folder, name)));
  return [...own.map(({ name }) => read(folder, name)), ...below];
}

function read(folder: string, name: string): KustomizeFolder {
  const file = parse(readFileSync(join(root, folder, name), 'utf8')) as KustomizeFolder['file'];
  return { path: folder, component: file['kind'] === 'Component', file };
}

/** `kubectl kustomize` of a folder of the repository. */
export function render({ path, file }: KustomizeFolder): Rendering {
  const components = (file.components ?? []).map((component) => join(path, component));
  return { name: path, components, ...kustomize(join(root, path)) };
}

/** What a person gets who adds components to a base. */
export function compose(base: string, components: readonly string[]): Rendering {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'dd2-kustomize-')));
  const from = (path: string): string => relative(folder, realpathSync(join(root, path)));
  try {
    writeFileSync(join(folder, 'kustomization.yaml'), stringify({ apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', resources: [from(base)], components: components.map(from) }));
    return { name: [base, ...components.map((component) => component.split('/components/').at(-1))].join(' + '), components, ...kustomize(folder) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function kustomize(folder: string): { readonly objects: readonly KubernetesObject[]; readonly warnings: string } {
  const { status, stdout, stderr, error } = spawnSync('kubectl', ['kustomize', folder], { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (error) throw error;
  if (status !== 0) throw new Error(`kubectl kustomize ${folder} ended with ${status}: ${stderr}`);
  const objects = parseAllDocuments(stdout).map((document) => {
    if (document.errors[0]) throw document.errors[0];
    return document.toJS() as KubernetesObject;
  });
  return { objects, warnings: stderr };
}

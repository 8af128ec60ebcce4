import { join } from 'node:path';
import ts from 'typescript';
import { root } from '../support/processes.js';
import { finding, joinPath, type Finding, type KubernetesObject, type Rendering } from './objects.js';

/** Packages with the types of what is not the API's own, by API group. */
const customGroups: Readonly<Record<string, string>> = { 'monitoring.coreos.com': '@kubernetes-models/prometheus-operator', 'cert-manager.io': '@kubernetes-models/cert-manager' };

/**
 * Versions that may go, or have gone, and where they stand nevertheless. A stable version stays as long as Kubernetes is 1.x, so what is
 * stable and known to the types exists in the current API.
 */
const unstable: readonly { readonly component: string; readonly apiVersion: string; readonly kind: string; readonly reason: string }[] = [
  { component: 'kubernetes-1.20', apiVersion: 'policy/v1beta1', kind: 'PodDisruptionBudget', reason: 'Kubernetes 1.20 has no policy/v1' },
];

const file = join(root, 'test/manifests/rendered.ts');
const options: ts.CompilerOptions = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  lib: ['lib.es2023.d.ts'],
  types: [],
};

/** A line of the generated source, and the field it says. */
interface Line {
  readonly text: string;
  readonly object: KubernetesObject;
  readonly path: string;
}

/**
 * Unknown fields, wrong types, missing fields and values that are not among those of an enumeration, at any depth: every object becomes a
 * literal of the type that the API gives it, for the compiler to judge. Objects that are alike are judged once.
 * @returns findings by rendering
 */
export function checkTypes(renderings: readonly Rendering[]): Map<Rendering, Finding[]> {
  const findings = new Map<Rendering, Finding[]>(renderings.map((rendering) => [rendering, renderingFindings(rendering)]));
  const texts = new Map<string, { readonly object: KubernetesObject; readonly renderings: Set<Rendering> }>();
  for (const rendering of renderings) {
    for (const object of rendering.objects.filter(isNamed)) {
      const text = JSON.stringify(object);
      const same = texts.get(text) ?? { object, renderings: new Set() };
      same.renderings.add(rendering);
      texts.set(text, same);
    }
  }
  const distinct = [...texts.values()];
  const lines = distinct.flatMap(({ object }, index) => sourceOf(object, index));
  const byObject = new Map(distinct.map(({ object, renderings: of }) => [object, of]));
  for (const { line, message } of diagnose(lines.map(({ text }) => text).join('\n'))) {
    const at = lines[line];
    if (!at) throw new Error(message);
    for (const rendering of byObject.get(at.object) ?? []) findings.get(rendering)?.push(finding(at.object, at.path, message));
  }
  return findings;
}

function renderingFindings(rendering: Rendering): Finding[] {
  return rendering.objects.flatMap((object, index) => {
    if (!isNamed(object)) return [finding(undefined, `[${index}]`, 'is no object with apiVersion, kind and metadata.name')];
    const { apiVersion, kind } = object;
    if (!/(alpha|beta)\d*$/.test(apiVersion)) return [];
    const excused = unstable.some((entry) => entry.apiVersion === apiVersion && entry.kind === kind && rendering.components.some((component) => component.endsWith(`/${entry.component}`)));
    return excused ? [] : [finding(object, 'apiVersion', `${apiVersion} is not a stable version of the API`)];
  });
}

const isNamed = (object: Partial<KubernetesObject>): boolean => /^[\w./-]+$/.test(object.apiVersion ?? '') && /^[A-Z]\w*$/.test(object.kind ?? '') && typeof object.metadata?.name === 'string';

function sourceOf(object: KubernetesObject, index: number): Line[] {
  const { apiVersion, kind } = object;
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  const module = `${customGroups[group] ?? 'kubernetes-models'}/${apiVersion}/${kind}`;
  const lines: Line[] = [{ text: `import type { I${kind} as T${index} } from '${module}';`, object, path: 'apiVersion' }];
  const write = (value: unknown, path: string, before: string, after: string): void => {
    const line = (text: string): number => lines.push({ text, object, path });
    if (typeof value !== 'object' || value === null) {
      line(`${before}${JSON.stringify(value)}${after}`);
      return;
    }
    const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
    line(before + open);
    if (Array.isArray(value)) for (const [position, element] of value.entries()) write(element, `${path}[${position}]`, '', ',');
    else for (const [key, child] of Object.entries(value)) write(child, joinPath(path, key), `${/^[A-Za-z_]\w*$/.test(key) ? key : JSON.stringify(key)}: `, ',');
    line(close + after);
  };
  write(object, '', `export const o${index}: T${index} = `, ';');
  return lines;
}

/** What every program reads again: the types of the API. */
const declarations = new Map<string, ts.SourceFile | undefined>();

/** Lines from 0. */
function diagnose(source: string): { readonly line: number; readonly message: string }[] {
  const host = ts.createCompilerHost(options);
  const [readSource, readText, exists] = [host.getSourceFile.bind(host), host.readFile.bind(host), host.fileExists.bind(host)];
  host.getSourceFile = (name, ...rest) => {
    if (name === file) return ts.createSourceFile(name, source, ts.ScriptTarget.ES2023);
    const parsed = declarations.get(name) ?? readSource(name, ...rest);
    declarations.set(name, parsed);
    return parsed;
  };
  host.readFile = (name) => (name === file ? source : readText(name));
  host.fileExists = (name) => name === file || exists(name);
  const program = ts.createProgram([file], options, host);
  return ts.getPreEmitDiagnostics(program).map((diagnostic) => {
    const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ').replace(/\s+/g, ' ').replace(/'"(\w+)"'/g, "'$1'");
    if (diagnostic.file?.fileName !== file || diagnostic.start === undefined) throw new Error(message);
    const { line } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start);
    return { line, message: diagnostic.code === MODULE_NOT_FOUND ? 'the API has no such kind in this version' : message };
  });
}

const MODULE_NOT_FOUND = 2307;

import { beforeAll, describe, expect, it } from 'vitest';
import { checkRenderings } from './manifests/checks.js';
import { noKubectl } from './manifests/kubectl.js';
import { mistakes, spoil, type Mistake } from './manifests/mistakes.js';
import type { Rendering } from './manifests/objects.js';
import { compose, findKustomizations, render } from './manifests/render.js';

const K8S = 'infra/k8s';
const BASE = `${K8S}/base`;

/** Components in the order in which they are added. */
const components = ['cert-manager', 'external-redis', 'external-redis/own-authority', 'gpu', 'monitoring', 'teacher-pool', 'kubernetes-1.27', 'kubernetes-1.20'];
/** A component that others add. */
const parts = ['teacher-pool/like-worker'];
const needs: Readonly<Record<string, string>> = { 'external-redis/own-authority': 'external-redis' };
const alternatives: readonly (readonly string[])[] = [['kubernetes-1.27', 'kubernetes-1.20']];

const fit = (chosen: readonly string[]): boolean => chosen.every((name) => !(name in needs) || chosen.includes(needs[name] ?? '')) && !alternatives.some((exclusive) => exclusive.every((name) => chosen.includes(name)));
const problems = (renderings: readonly Rendering[]): string[] => [...checkRenderings(renderings).values()].flat();
const added = (chosen: readonly string[]) => compose(BASE, chosen.map((name) => `${K8S}/components/${name}`));

describe.skipIf(noKubectl !== undefined)(`${K8S}${noKubectl === undefined ? '' : ` (${noKubectl})`}`, { timeout: 120_000 }, () => {
  const folders = findKustomizations(K8S);

  it('has components that are all known here', () => {
    const found = folders.filter(({ component }) => component).map(({ path }) => path.slice(`${K8S}/components/`.length));
    expect(found.sort()).toEqual([...components, ...parts].sort());
  });

  it('is right as it is, and in every overlay', () => {
    const renderings = folders.filter(({ component }) => !component).map(render);
    expect(renderings.map(({ name }) => name)).toEqual(expect.arrayContaining([K8S, BASE]));
    expect(problems(renderings)).toEqual([]);
  });

  it('is right with any two components, and with all of them', () => {
    const pairs = components.flatMap((one, index) => components.slice(index).map((other) => [...new Set([needs[one] ?? one, needs[other] ?? other, one, other])]));
    const sorted = pairs.map((pair) => components.filter((name) => pair.includes(name))).filter(fit);
    const most = alternatives[0]?.map((left) => components.filter((name) => name !== left)) ?? [];
    const distinct = new Map([...sorted, ...most].map((chosen) => [chosen.join(), chosen]));
    expect(problems([...distinct.values()].map(added))).toEqual([]);
  });

  describe('a mistake is found', () => {
    const found = new Map<Mistake, string[]>();

    beforeAll(() => {
      const right = new Map<Mistake['component'], Rendering>([
        [undefined, added(['gpu', 'monitoring', 'teacher-pool'])],
        ['cert-manager', added(['cert-manager'])],
        ['external-redis', added(['external-redis'])],
      ]);
      const spoiled = new Map(mistakes.map((mistake) => [mistake, spoil(right.get(mistake.component) as Rendering, mistake)]));
      const findings = checkRenderings([...spoiled.values()]);
      for (const [mistake, rendering] of spoiled) found.set(mistake, findings.get(rendering) ?? []);
    }, 120_000);

    it('and so is what kubectl warns of', () => {
      const rendering = { ...added([]), warnings: "# Warning: 'patchesJson6902' is deprecated.\n" };
      expect(problems([rendering])).toEqual([`${BASE}: kubectl warns: # Warning: 'patchesJson6902' is deprecated.`]);
    });

    it.each(mistakes)('$what', (mistake) => {
      expect(found.get(mistake)?.join('\n')).toMatch(mistake.found);
    });
  });
});

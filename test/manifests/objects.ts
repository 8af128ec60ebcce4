import type { IStatefulSet } from 'kubernetes-models/apps/v1';
import type { IContainer, IPodSpec, IPodTemplateSpec } from 'kubernetes-models/v1';

export type LabelSelector = NonNullable<IStatefulSet['spec']>['selector'];

/** Any object of a rendering. What lies below is as the type check left it; checks of meaning run on objects that passed that. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Readonly<Record<string, string>>; readonly annotations?: Readonly<Record<string, string>> };
}

/** What `kubectl kustomize` makes of one folder, or of a base with components. */
export interface Rendering {
  /** for people, such as `infra/k8s/overlays/gpu` */
  readonly name: string;
  /** folders of the components that take part, relative to the repository */
  readonly components: readonly string[];
  readonly objects: readonly KubernetesObject[];
  /** what kubectl printed on stderr */
  readonly warnings: string;
}

/** Something that is wrong with an object. */
export interface Finding {
  /** `Kind/name`; none when the rendering as a whole is meant */
  readonly object: string;
  /** field path, such as `spec.ports[0].name` */
  readonly path: string;
  readonly message: string;
}

/** Looks at one rendering. */
export type Check = (rendering: Rendering) => Iterable<Finding>;

export function finding(object: KubernetesObject | undefined, path: string, message: string): Finding {
  return { object: object === undefined ? '' : `${object.kind}/${object.metadata.name}`, path, message };
}

export const formatFinding = (rendering: Rendering, { object, path, message }: Finding): string => [rendering.name, object, path].filter((part) => part !== '').join(' ') + `: ${message}`;

/** The objects of a kind, as their type. */
export function ofKind<T>(rendering: Rendering, kind: string): (T & KubernetesObject)[] {
  return rendering.objects.filter((object) => object.kind === kind) as (T & KubernetesObject)[];
}

/** A pod that some object makes, and where its specification stands in it. */
export interface Pod {
  readonly owner: KubernetesObject;
  /** path of the pod template in the owner; empty for a Pod */
  readonly path: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: IPodSpec;
  /** names of the claims that the owner makes for it */
  readonly claims: readonly string[];
}

/** Every pod of a rendering. */
export function podsOf(rendering: Rendering): Pod[] {
  return rendering.objects.flatMap((owner): Pod[] => {
    const found = templateOf(owner);
    if (found?.template.spec === undefined) return [];
    const claims = owner.kind === 'StatefulSet' ? ((owner as unknown as IStatefulSet).spec?.volumeClaimTemplates ?? []).map(({ metadata }) => metadata?.name ?? '') : [];
    return [{ owner, path: found.path, labels: found.template.metadata?.labels ?? {}, spec: found.template.spec, claims }];
  });
}

function templateOf(owner: KubernetesObject): { readonly path: string; readonly template: IPodTemplateSpec } | undefined {
  const { spec } = owner as unknown as { readonly spec?: { readonly template?: IPodTemplateSpec; readonly jobTemplate?: { readonly spec?: { readonly template?: IPodTemplateSpec } } } };
  switch (owner.kind) {
    case 'Pod':
      return { path: '', template: owner as unknown as IPodTemplateSpec };
    case 'CronJob':
      return spec?.jobTemplate?.spec?.template && { path: 'spec.jobTemplate.spec.template.', template: spec.jobTemplate.spec.template };
    default:
      return spec?.template && { path: 'spec.template.', template: spec.template };
  }
}

export interface PodContainer {
  readonly container: IContainer;
  readonly path: string;
  /** runs to its end before the others start */
  readonly init: boolean;
}

/** Init containers and containers of a pod. */
export function containersOf({ spec, path }: Pod): PodContainer[] {
  const list = (containers: readonly IContainer[], field: string, init: boolean): PodContainer[] => containers.map((container, index) => ({ container, path: `${path}spec.${field}[${index}]`, init }));
  return [...list(spec.initContainers ?? [], 'initContainers', true), ...list(spec.containers, 'containers', false)];
}

/** Whether a selector picks what has these labels. An empty selector picks everything. */
export function selects(selector: LabelSelector | undefined, labels: Readonly<Record<string, string>>): boolean {
  if (!selector) return false;
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
      const value = labels[key];
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value);
        case 'NotIn':
          return value === undefined || !values.includes(value);
        case 'Exists':
          return value !== undefined;
        case 'DoesNotExist':
          return value === undefined;
        default:
          return false;
      }
    })
  );
}

/** Every value of an object with its path and the key it stands under; elements of lists have none. */
export function* valuesOf(value: unknown, path = '', key = ''): Generator<{ readonly value: unknown; readonly path: string; readonly key: string }> {
  yield { value, path, key };
  if (Array.isArray(value)) for (const [index, element] of value.entries()) yield* valuesOf(element, `${path}[${index}]`);
  else if (typeof value === 'object' && value !== null) for (const [name, child] of Object.entries(value)) yield* valuesOf(child, joinPath(path, name), name);
}

/** `a.b`, or `a["b.c"]` for keys that are no words. */
export const joinPath = (path: string, key: string): string => (/^[\w-]+$/.test(key) ? (path === '' ? key : `${path}.${key}`) : `${path}[${JSON.stringify(key)}]`);

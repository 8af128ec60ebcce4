import type { IStatefulSet } from 'kubernetes-models/apps/v1';
import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1';
import type { IService } from 'kubernetes-models/v1';
import type { IServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import { finding, ofKind, podsOf, selects, type Finding, type KubernetesObject, type LabelSelector, type Pod, type Rendering } from './objects.js';

/** Whoever picks pods by labels picks some, and the right ones, and finds the ports there. */
export function* checkSelectors(rendering: Rendering): Generator<Finding> {
  const pods = podsOf(rendering);
  yield* workloadFindings(rendering, pods);
  yield* serviceFindings(rendering, pods);
  yield* budgetFindings(rendering, pods);
  yield* policyFindings(rendering, pods);
  yield* spreadFindings(pods);
  yield* monitorFindings(rendering);
}

type Workload = KubernetesObject & { readonly spec?: { readonly selector?: LabelSelector; readonly replicas?: number } };

function* workloadFindings(rendering: Rendering, pods: readonly Pod[]): Generator<Finding> {
  for (const { owner, labels } of pods) {
    const { selector } = (owner as Workload).spec ?? {};
    if (!selector || owner.kind === 'Job') continue;
    if (Object.keys(selector).length === 0 || !selects(selector, labels)) yield finding(owner, 'spec.selector', 'does not select its own pods');
    for (const other of pods) if (other.owner !== owner && selects(selector, other.labels)) yield finding(owner, 'spec.selector', `selects the pods of ${other.owner.kind} ${other.owner.metadata.name}, too`);
  }
  const services = ofKind<IService>(rendering, 'Service');
  for (const set of ofKind<IStatefulSet>(rendering, 'StatefulSet')) {
    const { serviceName, template } = set.spec ?? {};
    const service = services.find(({ metadata }) => metadata.name === serviceName);
    if (!service) yield finding(set, 'spec.serviceName', `there is no Service ${serviceName ?? ''}`);
    else if (service.spec?.clusterIP !== 'None') yield finding(set, 'spec.serviceName', `the Service ${service.metadata.name} is not headless: its pods have no names`);
    else if (!selects({ matchLabels: service.spec.selector ?? {} }, template?.metadata?.labels ?? {})) yield finding(set, 'spec.serviceName', `the Service ${service.metadata.name} does not select its pods`);
  }
}

function* serviceFindings(rendering: Rendering, pods: readonly Pod[]): Generator<Finding> {
  for (const service of ofKind<IService>(rendering, 'Service')) {
    const { selector, ports = [], type } = service.spec ?? {};
    if (type === 'ExternalName') continue;
    const selected = selector && Object.keys(selector).length > 0 ? pods.filter(({ labels }) => selects({ matchLabels: selector }, labels)) : [];
    if (selected.length === 0) yield finding(service, 'spec.selector', 'selects no pod');
    if (new Set(selected.map(({ owner }) => owner)).size > 1) yield finding(service, 'spec.selector', `selects pods of ${selected.map(({ owner }) => owner.metadata.name).join(' and ')}`);
    for (const [index, { name = '', port, targetPort = port }] of ports.entries()) {
      const path = `spec.ports[${index}]`;
      if (ports.length > 1 && name === '') yield finding(service, path, 'has no name');
      if (ports.filter((other) => (other.name ?? '') === name).length > 1) yield finding(service, `${path}.name`, `${name} is there twice`);
      for (const pod of selected) if (!hasPort(pod, targetPort)) yield finding(service, `${path}.targetPort`, `${pod.owner.kind} ${pod.owner.metadata.name} has no port ${targetPort}`);
    }
  }
}

const hasPort = ({ spec }: Pod, port: string | number): boolean => spec.containers.some(({ ports = [] }) => ports.some(({ name, containerPort }) => name === port || containerPort === port));

function* budgetFindings(rendering: Rendering, pods: readonly Pod[]): Generator<Finding> {
  const budgets = ofKind<IPodDisruptionBudget>(rendering, 'PodDisruptionBudget');
  for (const budget of budgets) {
    const { selector, minAvailable, maxUnavailable } = budget.spec ?? {};
    const selected = pods.filter(({ labels }) => selects(selector, labels));
    if (selected.length === 0) yield finding(budget, 'spec.selector', 'selects no pod');
    if ((minAvailable === undefined) === (maxUnavailable === undefined)) yield finding(budget, 'spec', 'is to have one of minAvailable and maxUnavailable');
    const replicas = selected.reduce((total, { owner }) => total + ((owner as Workload).spec?.replicas ?? 1), 0);
    const all = maxUnavailable === 0 || maxUnavailable === '0%' || minAvailable === '100%' || (typeof minAvailable === 'number' && minAvailable >= replicas);
    if (selected.length > 0 && all) yield finding(budget, 'spec', 'never lets a pod go: its node cannot be drained');
    for (const { owner, labels } of selected) {
      if (budgets.some((other) => other !== budget && selects(other.spec?.selector, labels))) yield finding(budget, 'spec.selector', `pods of ${owner.metadata.name} have another budget: the API then evicts none of them`);
    }
  }
}

function* policyFindings(rendering: Rendering, pods: readonly Pod[]): Generator<Finding> {
  const some = (selector: LabelSelector | undefined): boolean => pods.some(({ labels }) => selects(selector, labels));
  for (const policy of ofKind<INetworkPolicy>(rendering, 'NetworkPolicy')) {
    const { podSelector = {}, ingress = [], egress = [] } = policy.spec ?? {};
    if (!some(podSelector)) yield finding(policy, 'spec.podSelector', 'selects no pod');
    const peers = [
      ...ingress.flatMap((rule, index) => (rule.from ?? []).map((peer, position) => ({ peer, path: `spec.ingress[${index}].from[${position}]` }))),
      ...egress.flatMap((rule, index) => (rule.to ?? []).map((peer, position) => ({ peer, path: `spec.egress[${index}].to[${position}]` }))),
    ];
    for (const { peer, path } of peers) if (peer.podSelector && !peer.namespaceSelector && !some(peer.podSelector)) yield finding(policy, `${path}.podSelector`, 'selects no pod');
    const targets = pods.filter(({ labels }) => selects(podSelector, labels));
    for (const [index, { ports = [] }] of ingress.entries()) {
      for (const [position, { port }] of ports.entries()) {
        if (port !== undefined && !targets.every((pod) => hasPort(pod, port))) yield finding(policy, `spec.ingress[${index}].ports[${position}].port`, `not every pod that it selects has a port ${port}`);
      }
    }
  }
}

function* spreadFindings(pods: readonly Pod[]): Generator<Finding> {
  for (const { owner, path, labels, spec } of pods) {
    const affinity = [...terms(spec.affinity?.podAffinity), ...terms(spec.affinity?.podAntiAffinity)];
    for (const [index, { labelSelector }] of (spec.topologySpreadConstraints ?? []).entries()) {
      if (!selects(labelSelector, labels)) yield finding(owner, `${path}spec.topologySpreadConstraints[${index}].labelSelector`, 'does not select its own pods');
    }
    for (const { labelSelector } of affinity) if (!pods.some((pod) => selects(labelSelector, pod.labels))) yield finding(owner, `${path}spec.affinity`, 'a term selects no pod');
  }
}

interface Affinity {
  readonly requiredDuringSchedulingIgnoredDuringExecution?: readonly { readonly labelSelector?: LabelSelector }[];
  readonly preferredDuringSchedulingIgnoredDuringExecution?: readonly { readonly podAffinityTerm: { readonly labelSelector?: LabelSelector } }[];
}

const terms = (affinity: Affinity | undefined): { readonly labelSelector?: LabelSelector }[] => [
  ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
  ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ podAffinityTerm }) => podAffinityTerm),
];

function* monitorFindings(rendering: Rendering): Generator<Finding> {
  for (const monitor of ofKind<IServiceMonitor>(rendering, 'ServiceMonitor')) {
    const { selector, endpoints } = monitor.spec;
    const services = ofKind<IService>(rendering, 'Service').filter(({ metadata }) => selects(selector, metadata.labels ?? {}));
    if (services.length === 0) yield finding(monitor, 'spec.selector', 'selects no Service');
    for (const [index, { port }] of endpoints.entries()) {
      const having = services.filter(({ spec }) => spec?.ports?.some(({ name }) => name === port));
      if (having.length === 0) yield finding(monitor, `spec.endpoints[${index}].port`, `no Service that it selects has a port ${port ?? ''}`);
      if (having.length > 1) yield finding(monitor, `spec.endpoints[${index}].port`, `${having.map(({ metadata }) => metadata.name).join(' and ')} lead to the same pods: they are read twice`);
    }
  }
}

import type { INetworkPolicy, INetworkPolicyPeer, INetworkPolicyPort } from 'kubernetes-models/networking.k8s.io/v1';
import { BlockList } from 'node:net';
import { finding, ofKind, podsOf, selects, type Finding, type Pod, type Rendering } from './objects.js';

/** One end of a connection. */
interface Place {
  readonly name: string;
  readonly address: string;
  /** of the namespaces and pods of the cluster only */
  readonly namespace?: { readonly own: boolean; readonly labels: Readonly<Record<string, string>> };
  readonly labels?: Readonly<Record<string, string>>;
  readonly pod?: Pod;
}

const elsewhere = { own: false, labels: {} };
const nobody: Place = { name: 'another pod of the namespace', address: '10.1.0.200', namespace: { own: true, labels: {} }, labels: {} };
const prometheus: Place = { name: 'Prometheus', address: '10.1.1.1', namespace: elsewhere, labels: { 'app.kubernetes.io/name': 'prometheus' } };
const dns: Place = { name: 'DNS', address: '10.1.1.2', namespace: elsewhere, labels: { 'k8s-app': 'kube-dns' } };
const nodeDns: Place = { name: 'DNS of the node', address: '169.254.20.10' };
const others: readonly Place[] = [
  { name: 'a pod of another namespace', address: '10.1.1.3', namespace: elsewhere, labels: { 'app.kubernetes.io/name': 'dd2', 'app.kubernetes.io/component': 'coordinator', 'dd2.dev/computes': 'true' } },
  { name: 'the metadata service of a cloud', address: '169.254.169.254' },
  { name: 'the API server', address: '10.2.0.1' },
  { name: 'the internet', address: '203.0.113.7' },
];
const places = [nobody, prometheus, dns, nodeDns, ...others];

const usualPorts = [22, 53, 80, 443, 2379, 6379, 6443, 7070, 7080, 7090, 8080, 8443, 9090, 10250, 16443];
const protocols = ['TCP', 'UDP'] as const;
type Protocol = (typeof protocols)[number];

/** Plays the NetworkPolicies: who can reach whom, where, is just what dd2 needs. */
export function* checkNetwork(rendering: Rendering): Generator<Finding> {
  const own = podsOf(rendering).map((pod, index): Place => ({ name: componentOf(pod), address: `10.1.0.${index + 1}`, namespace: { own: true, labels: {} }, labels: pod.labels, pod }));
  const policies = ofKind<INetworkPolicy>(rendering, 'NetworkPolicy');
  const anywhere = new Set(pathsAnywhere(rendering, own));
  const declared = new Set(paths(rendering, own, anywhere));
  const ports = [...new Set([...usualPorts, ...own.flatMap(({ pod }) => pod?.spec.containers.flatMap((container) => (container.ports ?? []).map(({ containerPort }) => containerPort)) ?? [])])];
  for (const from of [...own, ...places]) {
    for (const to of [...own, ...places]) {
      if (from === to || (!isOwn(from) && !isOwn(to))) continue;
      for (const port of ports) {
        for (const protocol of protocols) {
          const path = pathOf(from, to, port, protocol);
          const [out, into] = [leaves(policies, from, to, port, protocol), arrives(policies, from, to, port, protocol)];
          // Each end is closed by itself: one policy that is forgotten opens nothing.
          if (isOwn(from) && out && !declared.has(path) && !anywhere.has(pathOf(from, undefined, port, protocol))) yield finding(undefined, 'NetworkPolicy', `${path} is let out`);
          if (isOwn(to) && into && !declared.has(path)) yield finding(undefined, 'NetworkPolicy', `${path} is let in`);
          if (!(out && into) && declared.has(path)) yield finding(undefined, 'NetworkPolicy', `${path} is closed`);
        }
      }
    }
  }
}

const has = ({ components }: Rendering, name: string): boolean => components.some((component) => component.endsWith(`/${name}`));

/** The API server, and a Redis of others, have addresses that nobody knows before. */
function* pathsAnywhere(rendering: Rendering, own: readonly Place[]): Generator<string> {
  for (const coordinator of own.filter(({ name }) => name === 'coordinator')) {
    for (const port of [443, 6443, 8443, 16443, ...(has(rendering, 'external-redis') ? [6379] : [])]) yield pathOf(coordinator, undefined, port, 'TCP');
  }
}

/** The connections that there are to be. */
function* paths(rendering: Rendering, own: readonly Place[], anywhere: ReadonlySet<string>): Generator<string> {
  const of = (...names: readonly string[]): Place[] => own.filter(({ name }) => names.includes(name));
  const outside = [prometheus, dns, nodeDns, ...others];
  for (const coordinator of of('coordinator')) {
    for (const worker of of('worker', 'teacher-worker')) yield pathOf(worker, coordinator, 7070, 'TCP');
    for (const redis of of('redis')) yield pathOf(coordinator, redis, 6379, 'TCP');
    for (const place of outside) for (const port of usualPorts) if (anywhere.has(pathOf(coordinator, undefined, port, 'TCP'))) yield pathOf(coordinator, place, port, 'TCP');
    if (has(rendering, 'monitoring')) yield pathOf(prometheus, coordinator, 7080, 'TCP');
  }
  for (const place of of('coordinator', 'worker', 'teacher-worker')) for (const server of [dns, nodeDns]) for (const protocol of protocols) yield pathOf(place, server, 53, protocol);
}

const componentOf = ({ labels, owner }: Pod): string => labels['app.kubernetes.io/component'] ?? owner.metadata.name;
const isOwn = ({ namespace }: Place): boolean => namespace?.own === true;
const pathOf = (from: Place, to: Place | undefined, port: number, protocol: Protocol): string => `${from.name} to ${to?.name ?? 'anywhere'} ${protocol} ${port}`;

function leaves(policies: readonly INetworkPolicy[], from: Place, to: Place, port: number, protocol: Protocol): boolean {
  const concerned = policiesOf(policies, from, 'Egress');
  return concerned.length === 0 || concerned.some(({ spec }) => (spec?.egress ?? []).some((rule) => includes(rule.to, to) && opens(rule.ports, to, port, protocol)));
}

function arrives(policies: readonly INetworkPolicy[], from: Place, to: Place, port: number, protocol: Protocol): boolean {
  const concerned = policiesOf(policies, to, 'Ingress');
  return concerned.length === 0 || concerned.some(({ spec }) => (spec?.ingress ?? []).some((rule) => includes(rule.from, from) && opens(rule.ports, to, port, protocol)));
}

function policiesOf(policies: readonly INetworkPolicy[], place: Place, type: 'Ingress' | 'Egress'): INetworkPolicy[] {
  return policies.filter(({ spec }) => {
    const types = spec?.policyTypes ?? (spec?.egress ? ['Ingress', 'Egress'] : ['Ingress']);
    return isOwn(place) && types.includes(type) && selects(spec?.podSelector ?? {}, place.labels ?? {});
  });
}

function includes(peers: readonly INetworkPolicyPeer[] | undefined, { address, namespace, labels }: Place): boolean {
  if (!peers || peers.length === 0) return true;
  return peers.some(({ ipBlock, podSelector, namespaceSelector }) => {
    if (ipBlock) return inBlock(ipBlock.cidr, address) && !(ipBlock.except ?? []).some((block) => inBlock(block, address));
    if (!namespace || !labels) return false;
    return (namespaceSelector ? selects(namespaceSelector, namespace.labels) : namespace.own) && (!podSelector || selects(podSelector, labels));
  });
}

function inBlock(cidr: string, address: string): boolean {
  const [net = '', bits] = cidr.split('/');
  if (net.includes(':')) return false;
  const list = new BlockList();
  list.addSubnet(net, Number(bits), 'ipv4');
  return list.check(address, 'ipv4');
}

function opens(ports: readonly INetworkPolicyPort[] | undefined, { pod }: Place, port: number, protocol: Protocol): boolean {
  if (!ports || ports.length === 0) return true;
  const named = (name: string): number | undefined => pod?.spec.containers.flatMap((container) => container.ports ?? []).find((candidate) => candidate.name === name)?.containerPort;
  return ports.some((rule) => {
    const least = typeof rule.port === 'string' ? named(rule.port) : rule.port;
    return (rule.protocol ?? 'TCP') === protocol && (rule.port === undefined || (least !== undefined && port >= least && port <= (rule.endPort ?? least)));
  });
}

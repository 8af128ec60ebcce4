import { isIPv4 } from 'node:net';
import { hasLabels, selects, type Container, type NetworkPolicy, type PolicyPeer, type Service } from './objects.js';
import { portOf } from './probes.js';

/** What the rules need to know of a pod, or of something that stands for one. */
export interface Endpoint {
  readonly ip: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: Container['ports'];
  readonly ready: boolean;
}

/** A Service and its address; undefined for a headless one. */
export interface ServiceAddress {
  readonly service: Service;
  readonly ip: string | undefined;
}

/** Everything that packet rules follow from. */
export interface NetworkState {
  readonly namespace: string;
  readonly endpoints: readonly Endpoint[];
  readonly services: readonly ServiceAddress[];
  readonly policies: readonly NetworkPolicy[];
  /** labels of every namespace */
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** the node: its kubelet may always reach its pods */
  readonly node: string;
  /** of the API server: the Service's address, and where it listens */
  readonly apiServer: { readonly ip: string; readonly port: number; readonly target: { readonly ip: string; readonly port: number } };
}

/** Endpoints of a Service, as its port reaches them. */
export function serviceTargets(state: NetworkState, service: Service, port: Service['spec']['ports'][number]): { readonly ip: string; readonly port: number }[] {
  return serviceEndpoints(state, service).map(({ ip, ports }) => ({ ip, port: portOf(port.targetPort ?? port.port, ports) }));
}

/** The pods that a Service leads to now. */
export function serviceEndpoints({ namespace, endpoints }: NetworkState, { spec }: Service): Endpoint[] {
  return endpoints.filter((endpoint) => endpoint.namespace === namespace && hasLabels(endpoint.labels, spec.selector) && (endpoint.ready || spec.publishNotReadyAddresses));
}

/**
 * Packet rules of one pod, for `iptables-restore` in its network namespace: addresses of Services lead to ready pods and are refused without one,
 * as kube-proxy has it, and NetworkPolicies drop what they do not allow.
 */
export function packetRules(pod: Endpoint, state: NetworkState): string {
  const { ip: apiIp, port: apiPort, target } = state.apiServer;
  const nat = [`-A OUTPUT -d ${apiIp} -p tcp --dport ${apiPort} -j DNAT --to-destination ${target.ip}:${target.port}`];
  const refused: string[] = [];
  for (const { service, ip } of state.services) {
    if (ip === undefined) continue;
    for (const port of service.spec.ports) {
      const to = `-d ${ip} -p tcp --dport ${port.port}`;
      const targets = serviceTargets(state, service, port);
      if (targets.length === 0) refused.push(`-A OUTPUT ${to} -j REJECT --reject-with tcp-reset`);
      for (const [index, { ip: targetIp, port: targetPort }] of targets.entries()) {
        const others = targets.length - index;
        const chance = others === 1 ? '' : ` -m statistic --mode random --probability ${1 / others}`;
        nat.push(`-A OUTPUT ${to}${chance} -j DNAT --to-destination ${targetIp}:${targetPort}`);
      }
    }
  }
  const ingress = allowed(pod, state, 'Ingress');
  const egress = allowed(pod, state, 'Egress');
  return [
    '*nat',
    ...['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'].map((chain) => `:${chain} ACCEPT [0:0]`),
    ...nat,
    'COMMIT',
    '*filter',
    `:INPUT ${ingress ? 'DROP' : 'ACCEPT'} [0:0]`,
    ':FORWARD DROP [0:0]',
    `:OUTPUT ${egress ? 'DROP' : 'ACCEPT'} [0:0]`,
    '-A INPUT -i lo -j ACCEPT',
    '-A OUTPUT -o lo -j ACCEPT',
    '-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
    '-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
    `-A INPUT -s ${state.node} -j ACCEPT`,
    ...refused,
    ...(ingress ?? []),
    ...(egress ?? []),
    'COMMIT',
    '',
  ].join('\n');
}

/** Rules for what policies allow a pod; undefined when none concerns it, and everything is. */
function allowed(pod: Endpoint, state: NetworkState, direction: 'Ingress' | 'Egress'): string[] | undefined {
  const policies = state.policies.filter(({ spec }) => spec.policyTypes.includes(direction) && selects(spec.podSelector, pod.labels));
  if (policies.length === 0) return undefined;
  const [chain, side] = direction === 'Ingress' ? ['INPUT', '-s'] : ['OUTPUT', '-d'];
  const rules = policies.flatMap(({ spec }) => (direction === 'Ingress' ? spec.ingress.map(({ from, ports }) => ({ peers: from, ports })) : spec.egress.map(({ to, ports }) => ({ peers: to, ports }))));
  return rules.flatMap(({ peers, ports }) => {
    const others = !peers || peers.length === 0 ? [{ address: '', endpoint: undefined }] : peers.flatMap((peer) => addressesOf(peer, state));
    return others.flatMap(({ address, endpoint }) => {
      const of = address === '' ? '' : ` ${side} ${address}`;
      if (!ports || ports.length === 0) return [`-A ${chain}${of} -j ACCEPT`];
      return ports.flatMap(({ port, protocol }) => {
        const owner = direction === 'Ingress' ? pod : endpoint;
        const number = typeof port === 'string' ? owner?.ports.find(({ name }) => name === port)?.containerPort : port;
        // a named port that the other side does not have allows nothing
        if (port !== undefined && number === undefined) return [];
        return [`-A ${chain}${of} -p ${protocol.toLowerCase()}${number === undefined ? '' : ` --dport ${number}`} -j ACCEPT`];
      });
    });
  });
}

function addressesOf(peer: PolicyPeer, state: NetworkState): { readonly address: string; readonly endpoint: Endpoint | undefined }[] {
  if ('ipBlock' in peer) {
    if (peer.ipBlock.except.length > 0) throw new Error('a NetworkPolicy with ipBlock.except is not understood here');
    return isIPv4(peer.ipBlock.cidr.split('/')[0] ?? '') ? [{ address: peer.ipBlock.cidr, endpoint: undefined }] : [];
  }
  const inNamespace = ({ namespace }: Endpoint): boolean =>
    peer.namespaceSelector ? selects(peer.namespaceSelector, state.namespaces.get(namespace) ?? {}) : namespace === state.namespace;
  return state.endpoints.filter((endpoint) => inNamespace(endpoint) && selects(peer.podSelector, endpoint.labels)).map((endpoint) => ({ address: endpoint.ip, endpoint }));
}

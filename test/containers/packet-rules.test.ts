import { describe, expect, it } from 'vitest';
import { resolveName } from './names.js';
import { kubernetesObject, type NetworkPolicy, type Service } from './objects.js';
import { packetRules, type Endpoint, type NetworkState } from './packet-rules.js';

const endpoint = (ip: string, app: string, ready = true): Endpoint => ({ ip, namespace: 'n', labels: { app }, ports: [{ name: 'web', containerPort: 8080, protocol: 'TCP' }], ready });
const service = (name: string, app: string, headless: boolean): Service =>
  kubernetesObject.parse({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { selector: { app }, ports: [{ port: 80, targetPort: 'web' }], ...(headless ? { clusterIP: 'None' } : {}) } }) as Service;
const policy = (spec: unknown): NetworkPolicy => kubernetesObject.parse({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'p' }, spec }) as NetworkPolicy;
const state = (more: Partial<NetworkState>): NetworkState => ({
  namespace: 'n',
  endpoints: [],
  services: [],
  policies: [],
  namespaces: new Map(),
  node: '10.0.0.1',
  apiServer: { ip: '10.1.0.1', port: 443, target: { ip: '10.0.0.1', port: 6443 } },
  ...more,
});
const me = endpoint('10.0.0.9', 'me');

describe('packet rules of a pod', () => {
  it('lead from a Service to its ready pods, and nowhere without one', () => {
    const services = [{ service: service('web', 'web', false), ip: '10.1.0.5' }];
    const rules = packetRules(me, state({ services, endpoints: [me, endpoint('10.0.0.2', 'web'), endpoint('10.0.0.3', 'web', false)] }));
    expect(rules).toContain('-A OUTPUT -d 10.1.0.5 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.2:8080');
    expect(rules).not.toContain('10.0.0.3');
    expect(packetRules(me, state({ services, endpoints: [me] }))).toContain('-A OUTPUT -d 10.1.0.5 -p tcp --dport 80 -j REJECT');
  });

  it('drop what no NetworkPolicy allows', () => {
    const deny = policy({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    const allow = policy({ podSelector: { matchLabels: { app: 'me' } }, policyTypes: ['Egress'], egress: [{ to: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ port: 'web' }] }] });
    const endpoints = [me, endpoint('10.0.0.2', 'web')];
    expect(packetRules(me, state({ endpoints }))).toMatch(/:INPUT ACCEPT[^]*:OUTPUT ACCEPT/);
    const denied = packetRules(me, state({ endpoints, policies: [deny] }));
    expect(denied).toMatch(/\*filter\n:INPUT DROP[^]*:OUTPUT DROP/);
    expect(denied).not.toContain('10.0.0.2');
    expect(packetRules(me, state({ endpoints, policies: [deny, allow] }))).toContain('-A OUTPUT -d 10.0.0.2 -p tcp --dport 8080 -j ACCEPT');
    expect(packetRules(endpoint('10.0.0.4', 'other'), state({ endpoints, policies: [deny, allow] }))).not.toContain('10.0.0.2');
  });
});

describe('names', () => {
  const endpoints = [endpoint('10.0.0.2', 'web'), endpoint('10.0.0.3', 'web', false)];
  const services = [{ service: service('web', 'web', false), ip: '10.1.0.5' }, { service: service('pods', 'web', true), ip: undefined }];
  const pods = new Map([['pods', [{ hostname: 'web-0', ip: '10.0.0.2' }, { hostname: 'web-1', ip: '10.0.0.3' }]]]);
  it.each<[string, string[] | undefined]>([
    ['web.n.svc.cluster.local', ['10.1.0.5']],
    ['pods.n.svc.cluster.local', ['10.0.0.2']],
    ['web-0.pods.n.svc.cluster.local', ['10.0.0.2']],
    ['web-1.pods.n.svc.cluster.local', undefined],
    ['none.n.svc.cluster.local', undefined],
    ['web.other.svc.cluster.local', undefined],
    ['kubernetes.default.svc.cluster.local', ['10.1.0.1']],
    ['example.org', undefined],
  ])('%s is %j', (name, expected) => {
    expect(resolveName(name, state({ endpoints, services }), pods)).toEqual(expected);
  });
});

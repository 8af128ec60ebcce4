import { serviceEndpoints, type NetworkState } from './packet-rules.js';

const DOMAIN = 'cluster.local';

/** Where a pod looks for names, as a kubelet writes it into resolv.conf. */
export const searchDomains = (namespace: string): string[] => [`${namespace}.svc.${DOMAIN}`, `svc.${DOMAIN}`, DOMAIN];

/** A pod's name below a headless Service. */
export interface NamedEndpoint {
  readonly hostname: string;
  readonly ip: string;
}

/**
 * The addresses of a name in the cluster's domain: of a Service, of the pods behind a headless one, or of one such pod.
 * @param pods names of pods of StatefulSets, by the Service that governs them
 * @returns undefined for a name that does not exist
 */
export function resolveName(name: string, state: NetworkState, pods: ReadonlyMap<string, readonly NamedEndpoint[]>): string[] | undefined {
  if (name === `kubernetes.default.svc.${DOMAIN}`) return [state.apiServer.ip];
  const suffix = `.${state.namespace}.svc.${DOMAIN}`;
  if (!name.endsWith(suffix)) return undefined;
  const labels = name.slice(0, -suffix.length).split('.');
  const found = state.services.find(({ service }) => service.metadata.name === labels.at(-1));
  if (!found) return undefined;
  if (found.ip !== undefined) return labels.length === 1 ? [found.ip] : undefined;
  const behind = serviceEndpoints(state, found.service).map(({ ip }) => ip);
  if (labels.length === 1) return behind;
  const [hostname] = labels;
  const named = (pods.get(found.service.metadata.name) ?? []).filter((pod) => labels.length === 2 && pod.hostname === hostname && behind.includes(pod.ip));
  return named.length === 0 ? undefined : named.map(({ ip }) => ip);
}

import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runDd2 } from '../support/processes.js';
import { ApiServer } from './api-server.js';
import { DnsServer } from './dns-server.js';
import type { PodIdentity } from './environment.js';
import { findImages } from './images.js';
import { ownName, removeLeftovers } from './leftovers.js';
import { resolveName, searchDomains, type NamedEndpoint } from './names.js';
import { Network, setPacketRules } from './network.js';
import { selects, type ConfigMap, type Deployment, type KubernetesObject, type PodTemplate, type ServiceAccount, type StatefulSet } from './objects.js';
import { packetRules, serviceTargets, type Endpoint, type NetworkState, type ServiceAddress } from './packet-rules.js';
import { inspectContainer, podman } from './podman.js';
import { Pod, type PodHost } from './pod.js';
import { mountClaim } from './volumes.js';

const API_SERVER_PORT = 6_443;
/** how often `until` looks */
const LOOK_MS = 100;
/** As many lines of a container are shown when something did not happen. */
const LAST_LINES = 25;

type Images = Awaited<ReturnType<typeof findImages>>;
type Of<K extends KubernetesObject['kind']> = Extract<KubernetesObject, { kind: K }>;

/** A Kubernetes cluster of one node and one namespace, played with podman: what a set of manifests asks for, and nothing else. */
export class Cluster {
  /** Pods by name. */
  readonly pods = new Map<string, Pod>();
  /** What happened, in order. */
  readonly history: string[] = [];
  readonly #configMaps = new Map<string, ConfigMap['data']>();
  readonly #begun = performance.now();
  #failure: Error | undefined;
  #networking: Promise<void> = Promise.resolve();
  #services: readonly ServiceAddress[] = [];
  #dns: DnsServer | undefined;

  private constructor(
    readonly objects: readonly KubernetesObject[],
    readonly namespace: string,
    readonly folder: string,
    readonly images: Images,
    readonly network: Network,
    readonly api: ApiServer,
  ) {}

  /** An empty cluster: `apply` starts the pods. */
  static async create(objects: readonly KubernetesObject[]): Promise<Cluster> {
    const [namespace, ...others] = new Set(objects.filter(({ kind }) => kind !== 'Namespace').map(({ metadata }) => metadata.namespace));
    if (namespace === undefined || others.length > 0) throw new Error('the objects are not of one namespace');
    await removeLeftovers();
    const templates = kindsOf(objects, 'StatefulSet', 'Deployment').map(({ spec }) => spec.template.spec);
    const images = await findImages(templates.flatMap(({ initContainers, containers }) => [...initContainers, ...containers]).map(({ image }) => image));
    const folder = await mkdtemp(join(tmpdir(), `${ownName()}-`));
    const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
    try {
      const network = await Network.create(ownName());
      undo.unshift(() => network.remove());
      const certificates = join(folder, 'api-server');
      const { code, output } = await runDd2(['certs', 'init', '--dir', certificates, '--host', `${network.apiServer},kubernetes.default.svc`]);
      if (code !== 0) throw new Error(`no certificates for the API server: ${output}`);
      const pem = (name: string): Promise<string> => readFile(join(certificates, name), 'utf8');
      const access = { roles: kindsOf(objects, 'Role'), bindings: kindsOf(objects, 'RoleBinding') };
      const api = await ApiServer.listen({ address: network.node, port: API_SERVER_PORT }, { cert: await pem('server.crt'), key: await pem('server.key') }, namespace, access);
      undo.unshift(() => api.close());
      const cluster = new Cluster(objects, namespace, folder, images, network, api);
      for (const { metadata, data } of kindsOf(objects, 'ConfigMap')) cluster.#configMaps.set(metadata.name, data);
      cluster.#configMaps.set('kube-root-ca.crt', { 'ca.crt': await pem('ca.crt') });
      cluster.#services = kindsOf(objects, 'Service').map((service) => ({ service, ip: service.spec.clusterIP === 'None' ? undefined : network.serviceAddress() }));
      cluster.#dns = await DnsServer.listen(network.node, (name) => resolveName(name, cluster.#networkState(), cluster.#podNames()));
      return cluster;
    } catch (error) {
      for (const step of undo) await step();
      throw error;
    }
  }

  /** Seconds since the cluster was made. */
  get seconds(): number {
    return (performance.now() - this.#begun) / 1_000;
  }

  /** The pods of a component, by the label of that name. */
  podsOf(component: string): Pod[] {
    return [...this.pods.values()].filter(({ identity }) => identity.labels['app.kubernetes.io/component'] === component);
  }

  /** Where a port of a Service leads now. @throws Error when no pod is behind it */
  address(service: string, port: string): { readonly host: string; readonly port: number } {
    const state = this.#networkState();
    const found = state.services.find(({ service: { metadata } }) => metadata.name === service)?.service;
    const named = found?.spec.ports.find(({ name }) => name === port);
    const [target] = found && named ? serviceTargets({ ...state, endpoints: state.endpoints.map((endpoint) => ({ ...endpoint, ready: true })) }, found, named) : [];
    if (!target) throw new Error(`no pod is behind port ${port} of ${service}`);
    return { host: target.ip, port: target.port };
  }

  /** Looks until something is so. @throws Error after a time, with what the pods do and have printed last */
  async until<T>(what: string, timeoutSeconds: number, look: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
    const end = performance.now() + 1_000 * timeoutSeconds;
    for (;;) {
      if (this.#failure) throw this.#failure;
      const found = await look();
      if (found !== undefined && found !== false) return found;
      if (performance.now() > end) throw new Error(`not within ${timeoutSeconds} s: ${what}\n${await this.#report()}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** Deletes a pod in order, and lets its controller make another one at once. Returns seconds that it took to end. */
  async replace(pod: Pod): Promise<number> {
    const seconds = await this.remove(pod);
    await this.apply();
    return seconds;
  }

  /** Deletes a pod in order; its place stays empty until `apply`. Returns seconds that it took to end. */
  async remove(pod: Pod): Promise<number> {
    const seconds = await pod.delete();
    this.pods.delete(pod.identity.name);
    this.log(`${pod.identity.name}: gone after ${seconds.toFixed(1)} s`);
    await this.#updateNetwork();
    return seconds;
  }

  /** Lets controllers make the pods that are missing, all at once; at first that is every one. */
  async apply(): Promise<void> {
    for (const statefulSet of kindsOf(this.objects, 'StatefulSet')) await this.#applyStatefulSet(statefulSet);
    for (const deployment of kindsOf(this.objects, 'Deployment')) this.#applyDeployment(deployment);
  }

  /** A file that lets `kubectl` in, as whoever set the cluster up. Returns its path. */
  async writeKubeconfig(): Promise<string> {
    const token = randomBytes(32).toString('base64url');
    this.api.tokens.set(token, { kind: 'administrator' });
    const path = join(this.folder, 'kubeconfig');
    const cluster = { server: `https://${this.network.node}:${API_SERVER_PORT}`, 'certificate-authority': join(this.folder, 'api-server/ca.crt'), 'tls-server-name': 'kubernetes.default.svc' };
    const context = { cluster: 'this', user: 'administrator' };
    const named = (name: string, key: string, value: unknown): Record<string, unknown> => ({ name, [key]: value });
    await writeFile(
      path,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'this',
        clusters: [named('this', 'cluster', cluster)],
        users: [named('administrator', 'user', { token })],
        contexts: [named('this', 'context', context)],
      }),
      { mode: 0o600 },
    );
    return path;
  }

  /** Removes everything that was made: containers, networks, folders. */
  async dispose(): Promise<void> {
    await Promise.all([...this.pods.values()].map((pod) => pod.delete(0)));
    await this.#networking;
    await this.#dns?.close();
    await this.api.close();
    await this.network.remove();
    await rm(this.folder, { recursive: true, force: true });
  }

  log(message: string): void {
    this.history.push(message);
    console.log(`${this.seconds.toFixed(1).padStart(7)} s  ${message}`);
  }

  async #applyStatefulSet({ metadata, spec }: StatefulSet): Promise<void> {
    if (spec.podManagementPolicy === 'OrderedReady' && spec.replicas > 1) throw new Error(`${metadata.name}: pods one after the other are not played here`);
    for (let ordinal = 0; ordinal < spec.replicas; ordinal++) {
      const name = `${metadata.name}-${ordinal}`;
      if (this.pods.has(name)) continue;
      const group = spec.template.spec.securityContext.fsGroup;
      const claims = new Map<string, Awaited<ReturnType<typeof mountClaim>>>();
      for (const claim of spec.volumeClaimTemplates) claims.set(claim.metadata.name, await mountClaim(join(this.folder, `${claim.metadata.name}-${name}`), group));
      const labels = { 'statefulset.kubernetes.io/pod-name': name };
      this.#startPod(name, spec.template, labels, claims);
    }
  }

  #applyDeployment({ metadata, spec }: Deployment): void {
    const present = [...this.pods.values()].filter(({ identity }) => selects(spec.selector, identity.labels));
    for (let replica = present.length; replica < spec.replicas; replica++) this.#startPod(`${metadata.name}-${randomBytes(3).toString('hex')}`, spec.template, {}, new Map());
  }

  #startPod(name: string, template: PodTemplate, labels: Readonly<Record<string, string>>, claims: ConstructorParameters<typeof Pod>[3]): void {
    const { serviceAccountName, automountServiceAccountToken } = template.spec;
    const account = kindsOf(this.objects, 'ServiceAccount').find(({ metadata }) => metadata.name === serviceAccountName);
    if (!account) throw new Error(`${name} is to run as the service account ${serviceAccountName}, which nobody makes`);
    if (automountServiceAccountToken ?? (account satisfies ServiceAccount).automountServiceAccountToken ?? true) {
      throw new Error(`${name} gets a token of its service account whether it needs one or not: say automountServiceAccountToken: false`);
    }
    const identity: PodIdentity = {
      name,
      namespace: this.namespace,
      uid: randomUUID(),
      ip: this.network.podAddress(),
      serviceAccountName,
      labels: { ...template.metadata.labels, ...labels },
    };
    const pod = new Pod(identity, template, this.#host(), claims);
    pod.on('failed', (error) => (this.#failure ??= error));
    pod.on('change', () => void this.#updateNetwork());
    this.pods.set(name, pod);
    pod.start();
  }

  #host(): PodHost {
    return {
      folder: this.folder,
      secret: (name) => {
        const data = this.api.secrets.get(name)?.data;
        return data && new Map(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64')]));
      },
      configMap: (name) => {
        const data = this.#configMaps.get(name);
        return data && new Map(Object.entries(data).map(([key, value]) => [key, Buffer.from(value)]));
      },
      token: ({ serviceAccountName, uid }) => {
        const known = [...this.api.tokens].find(([, identity]) => identity.kind === 'pod' && identity.podUid === uid)?.[0];
        const token = known ?? randomBytes(32).toString('base64url');
        this.api.tokens.set(token, { kind: 'pod', namespace: this.namespace, serviceAccount: serviceAccountName, podUid: uid });
        return token;
      },
      image: (name) => {
        const image = this.images.get(name);
        if (!image) throw new Error(`no image for ${name}`);
        return image;
      },
      clusterEnvironment: (serviceLinks) => this.#clusterEnvironment(serviceLinks),
      createSandbox: (pod) => this.#createSandbox(pod),
      log: ({ identity }, message) => this.log(`${identity.name}: ${message}`),
    };
  }

  /** Variables of the API server, which every container gets, and those of the Services. */
  #clusterEnvironment(serviceLinks: boolean): Record<string, string> {
    const variables = (name: string, ip: string, ports: readonly { readonly name?: string | undefined; readonly port: number }[]): Record<string, string> => {
      const prefix = name.toUpperCase().replaceAll('-', '_');
      const result: Record<string, string> = { [`${prefix}_SERVICE_HOST`]: ip, [`${prefix}_SERVICE_PORT`]: String(ports[0]?.port), [`${prefix}_PORT`]: `tcp://${ip}:${ports[0]?.port}` };
      for (const port of ports) {
        if (port.name !== undefined) result[`${prefix}_SERVICE_PORT_${port.name.toUpperCase().replaceAll('-', '_')}`] = String(port.port);
        result[`${prefix}_PORT_${port.port}_TCP`] = `tcp://${ip}:${port.port}`;
      }
      return result;
    };
    const links = serviceLinks ? this.#services.flatMap(({ service, ip }) => (ip === undefined ? [] : [variables(service.metadata.name, ip, service.spec.ports)])) : [];
    return Object.assign({}, ...links, variables('kubernetes', this.network.apiServer, [{ name: 'https', port: 443 }])) as Record<string, string>;
  }

  async #createSandbox({ identity }: Pod): Promise<string> {
    const dns = ['--dns', this.network.node, '--dns-option', 'ndots:5', ...searchDomains(this.namespace).flatMap((domain) => ['--dns-search', domain])];
    const id = (await podman('pod', 'create', '--name', `${ownName()}-${identity.name}-${identity.uid.slice(0, 8)}`, '--hostname', identity.name, '--network', this.network.name, '--ip', identity.ip, '--share', 'net,uts,ipc', ...dns)).trim();
    await podman('pod', 'start', id);
    await setPacketRules(await networkNamespace(id), packetRules(this.#endpointOf(this.pod(identity.name)), this.#networkState()));
    // others may name it in their rules from now on
    void this.#updateNetwork();
    return id;
  }

  /** A pod by its name. */
  pod(name: string): Pod {
    const pod = this.pods.get(name);
    if (!pod) throw new Error(`there is no pod ${name}`);
    return pod;
  }

  /** Brings the packet rules of all pods up to date, one change after the other. */
  #updateNetwork(): Promise<void> {
    this.#networking = this.#networking
      .then(async () => {
        const state = this.#networkState();
        for (const pod of this.pods.values()) {
          if (pod.sandbox === undefined || pod.phase === 'terminating') continue;
          await setPacketRules(await networkNamespace(pod.sandbox), packetRules(this.#endpointOf(pod), state));
        }
      })
      .catch((error: unknown) => {
        this.#failure ??= error instanceof Error ? error : new Error(String(error));
      });
    return this.#networking;
  }

  #endpointOf({ identity, template, ready }: Pod): Endpoint {
    return { ip: identity.ip, namespace: this.namespace, labels: identity.labels, ports: template.spec.containers.flatMap(({ ports }) => ports), ready };
  }

  #networkState(): NetworkState {
    const names: Endpoint = { ip: this.network.node, namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' }, ports: [], ready: true };
    const own = kindsOf(this.objects, 'Namespace')[0]?.metadata.labels ?? {};
    return {
      namespace: this.namespace,
      endpoints: [...[...this.pods.values()].map((pod) => this.#endpointOf(pod)), names],
      services: this.#services,
      policies: kindsOf(this.objects, 'NetworkPolicy'),
      namespaces: new Map([
        [this.namespace, own],
        ['kube-system', {}],
      ]),
      node: this.network.node,
      apiServer: { ip: this.network.apiServer, port: 443, target: { ip: this.network.node, port: API_SERVER_PORT } },
    };
  }

  #podNames(): ReadonlyMap<string, readonly NamedEndpoint[]> {
    const names = new Map<string, readonly NamedEndpoint[]>();
    for (const { spec } of kindsOf(this.objects, 'StatefulSet')) {
      const pods = [...this.pods.values()].filter(({ identity }) => selects(spec.selector, identity.labels));
      names.set(spec.serviceName, pods.map(({ identity }) => ({ hostname: identity.name, ip: identity.ip })));
    }
    return names;
  }

  async #report(): Promise<string> {
    const lines: string[] = [];
    for (const pod of this.pods.values()) {
      lines.push(`== ${pod.identity.name}: ${pod.phase}${pod.ready ? ', ready' : ''}`);
      for (const [container, log] of await pod.logs()) lines.push(`-- ${container}`, ...log.trimEnd().split('\n').slice(-LAST_LINES));
    }
    lines.push('== API server', ...this.api.requests.slice(-LAST_LINES).map(({ who, method, path, status }) => `${status} ${method} ${path} ${who}`));
    return lines.join('\n');
  }
}

function kindsOf<K extends KubernetesObject['kind']>(objects: readonly KubernetesObject[], ...kinds: K[]): Of<K>[] {
  return objects.filter((object): object is Of<K> => (kinds as string[]).includes(object.kind));
}

/** Path of the network namespace of a podman pod. */
async function networkNamespace(podId: string): Promise<string> {
  const infra = (await podman('pod', 'inspect', '--format', '{{.InfraContainerID}}', podId)).trim();
  return (await inspectContainer(infra)).NetworkSettings.SandboxKey;
}

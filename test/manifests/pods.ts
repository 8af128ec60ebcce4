import type { IContainer, IProbe, IVolume } from 'kubernetes-models/v1';
import { containersOf, finding, podsOf, type Finding, type Pod, type PodContainer, type Rendering } from './objects.js';
import { parseQuantity } from './quantities.js';

const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const portName = /^(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/;
const variable = /^[A-Za-z_][A-Za-z0-9_]*$/;
const handlers = ['exec', 'httpGet', 'tcpSocket', 'grpc'] as const;
const probes = ['startupProbe', 'readinessProbe', 'livenessProbe'] as const;

/** What must fit together inside one pod: names, volumes and their mounts, ports and probes, requests and limits. */
export function* checkPods(rendering: Rendering): Generator<Finding> {
  for (const pod of podsOf(rendering)) {
    const at = `${pod.path}spec`;
    const containers = containersOf(pod);
    yield* repeated(containers.map(({ container, path }) => ({ name: container.name, path: `${path}.name` })), pod);
    yield* repeated((pod.spec.volumes ?? []).map(({ name }, index) => ({ name, path: `${at}.volumes[${index}].name` })), pod);
    yield* volumeFindings(pod, containers);
    for (const each of containers) yield* containerFindings(pod, each);
    if (['Deployment', 'StatefulSet', 'DaemonSet'].includes(pod.owner.kind) && (pod.spec.restartPolicy ?? 'Always') !== 'Always') yield finding(pod.owner, `${at}.restartPolicy`, `pods of a ${pod.owner.kind} are always started again`);
  }
}

function* repeated(names: readonly { readonly name: string; readonly path: string }[], { owner }: Pod): Generator<Finding> {
  for (const [index, { name, path }] of names.entries()) {
    if (!label.test(name)) yield finding(owner, path, `${JSON.stringify(name)} is no name that the API takes`);
    if (names.findIndex((other) => other.name === name) < index) yield finding(owner, path, `${name} is there twice`);
  }
}

function* volumeFindings(pod: Pod, containers: readonly PodContainer[]): Generator<Finding> {
  const { volumes = [] } = pod.spec;
  const mounted = new Set(containers.flatMap(({ container }) => (container.volumeMounts ?? []).map(({ name }) => name)));
  for (const [index, volume] of volumes.entries()) {
    const path = `${pod.path}spec.volumes[${index}]`;
    if (sourcesOf(volume) !== 1) yield finding(pod.owner, path, `volume ${volume.name} has ${sourcesOf(volume)} sources instead of one`);
    if (!mounted.has(volume.name)) yield finding(pod.owner, path, `no container mounts the volume ${volume.name}`);
    for (const [position, source] of (volume.projected?.sources ?? []).entries()) {
      if (Object.keys(source).length !== 1) yield finding(pod.owner, `${path}.projected.sources[${position}]`, 'is to be one source');
    }
  }
  for (const claim of pod.claims) if (!mounted.has(claim)) yield finding(pod.owner, 'spec.volumeClaimTemplates', `no container mounts the claim ${claim}`);
  const names = new Set([...volumes.map(({ name }) => name), ...pod.claims]);
  for (const { container, path } of containers) {
    const seen = new Set<string>();
    for (const [index, { name, mountPath }] of (container.volumeMounts ?? []).entries()) {
      if (!names.has(name)) yield finding(pod.owner, `${path}.volumeMounts[${index}]`, `the pod has no volume ${name}`);
      if (seen.has(mountPath)) yield finding(pod.owner, `${path}.volumeMounts[${index}]`, `something is mounted at ${mountPath} already`);
      seen.add(mountPath);
    }
  }
}

const sourcesOf = ({ name: _name, ...sources }: IVolume): number => Object.keys(sources).length;

function* containerFindings(pod: Pod, { container, path, init }: PodContainer): Generator<Finding> {
  const { owner } = pod;
  const ports = container.ports ?? [];
  for (const [index, { name = '', containerPort, protocol = 'TCP' }] of ports.entries()) {
    const at = `${path}.ports[${index}]`;
    if (!portName.test(name)) yield finding(owner, `${at}.name`, `${JSON.stringify(name)} is no name of a port: at most 15 of a-z, 0-9 and -`);
    const others = containersOf(pod).flatMap((each) => (each.init ? [] : (each.container.ports ?? [])));
    if (others.filter((other) => other.name === name).length > 1) yield finding(owner, `${at}.name`, `${name} is there twice`);
    if (others.filter((other) => other.containerPort === containerPort && (other.protocol ?? 'TCP') === protocol).length > 1) yield finding(owner, at, `port ${containerPort} is there twice`);
  }
  const seen = new Set<string>();
  for (const [index, { name, value, valueFrom }] of (container.env ?? []).entries()) {
    const at = `${path}.env[${index}]`;
    if (!variable.test(name)) yield finding(owner, `${at}.name`, `${JSON.stringify(name)} is no name of a variable`);
    if (seen.has(name)) yield finding(owner, `${at}.name`, `${name} is there twice`);
    seen.add(name);
    if (valueFrom && (value !== undefined || Object.keys(valueFrom).length !== 1)) yield finding(owner, at, `${name} is to have one source`);
  }
  yield* resourceFindings(pod, container, path);
  for (const field of probes) {
    const probe = container[field];
    if (!probe) continue;
    if (init) yield finding(owner, `${path}.${field}`, 'an init container has no probes');
    yield* probeFindings(pod, container, probe, `${path}.${field}`);
    if (field !== 'readinessProbe' && (probe.successThreshold ?? 1) !== 1) yield finding(owner, `${path}.${field}.successThreshold`, 'is always 1 here');
  }
}

function* probeFindings({ owner }: Pod, { ports = [] }: IContainer, probe: IProbe, path: string): Generator<Finding> {
  const given = handlers.filter((handler) => probe[handler] !== undefined);
  if (given.length !== 1) yield finding(owner, path, `is to have one of ${handlers.join(', ')}`);
  const port = probe.httpGet?.port ?? probe.tcpSocket?.port;
  if (port !== undefined && !ports.some(({ name, containerPort }) => port === name || port === containerPort)) yield finding(owner, `${path}.${given[0] ?? ''}.port`, `the container has no port ${port}`);
}

function* resourceFindings({ owner }: Pod, { resources }: IContainer, path: string): Generator<Finding> {
  for (const [name, requested] of Object.entries(resources?.requests ?? {})) {
    const limit = resources?.limits?.[name];
    const [least, most] = [parseQuantity(String(requested)), parseQuantity(String(limit))];
    if (least !== undefined && most !== undefined && least > most) yield finding(owner, `${path}.resources.requests.${name}`, `${requested} is more than the limit ${limit}`);
    // Devices cannot be shared out beyond what is there.
    if (name.includes('/') && requested !== limit) yield finding(owner, `${path}.resources.requests["${name}"]`, 'what is counted in devices is requested as much as it is limited to');
  }
}

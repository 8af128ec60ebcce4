import type { ISecurityContext } from 'kubernetes-models/v1';
import { containersOf, finding, podsOf, type Finding, type Pod, type PodContainer, type Rendering } from './objects.js';

/** Volumes that the level "restricted" lets in. */
const volumes = ['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'persistentVolumeClaim', 'projected', 'secret'];
/** A registry's host if it has a dot, a port or is localhost; the name; a tag that is not `latest`, or a digest, or both. */
const pinned = /^[a-z0-9][\w.:-]*(\/[\w.-]+)*(:(?!latest$|latest@)[\w][\w.-]*(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})$/;

/** Pod Security Standards at level "restricted", https://kubernetes.io/docs/concepts/security/pod-security-standards, and what dd2 asks for beyond. */
export function* checkPodPolicy(rendering: Rendering): Generator<Finding> {
  for (const pod of podsOf(rendering)) {
    yield* podFindings(pod);
    for (const each of containersOf(pod)) {
      yield* securityFindings(pod, each);
      yield* houseFindings(pod, each);
    }
  }
}

function* podFindings({ owner, path, spec }: Pod): Generator<Finding> {
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC', 'shareProcessNamespace'] as const) if (spec[field]) yield finding(owner, `${path}spec.${field}`, 'shares what belongs to the node or to other containers');
  for (const [index, { name, ...source }] of (spec.volumes ?? []).entries()) {
    for (const type of Object.keys(source)) if (!volumes.includes(type)) yield finding(owner, `${path}spec.volumes[${index}].${type}`, `the volume ${name} is of a type that "restricted" does not let in`);
  }
  const { securityContext = {} } = spec;
  if (securityContext.sysctls?.length) yield finding(owner, `${path}spec.securityContext.sysctls`, 'sets what belongs to the node');
  if (spec.automountServiceAccountToken !== false) yield finding(owner, `${path}spec.automountServiceAccountToken`, 'is not false: every container would have a token of the API');
  if (spec.serviceAccountName === undefined) yield finding(owner, `${path}spec.serviceAccountName`, 'is missing: the pod would be "default"');
  if (spec.enableServiceLinks !== false) yield finding(owner, `${path}spec.enableServiceLinks`, 'is not false: every Service of the namespace would set variables');
}

function* securityFindings({ owner, spec }: Pod, { container, path }: PodContainer): Generator<Finding> {
  const at = `${path}.securityContext`;
  const own: ISecurityContext = container.securityContext ?? {};
  const both = { ...spec.securityContext, ...own };
  if (own.privileged) yield finding(owner, `${at}.privileged`, 'is privileged');
  if (own.allowPrivilegeEscalation !== false) yield finding(owner, `${at}.allowPrivilegeEscalation`, 'is not false');
  if (own.readOnlyRootFilesystem !== true) yield finding(owner, `${at}.readOnlyRootFilesystem`, 'is not true');
  if (!own.capabilities?.drop?.includes('ALL')) yield finding(owner, `${at}.capabilities.drop`, 'does not drop ALL');
  if (own.capabilities?.add?.length) yield finding(owner, `${at}.capabilities.add`, `adds ${own.capabilities.add.join(', ')}`);
  if (own.procMount !== undefined && own.procMount !== 'Default') yield finding(owner, `${at}.procMount`, 'unmasks /proc');
  if (both.runAsNonRoot !== true) yield finding(owner, `${at}.runAsNonRoot`, 'is not true, neither here nor in the pod');
  // Without a number the kubelet must trust the image's USER.
  if (both.runAsUser === undefined || both.runAsUser === 0) yield finding(owner, `${at}.runAsUser`, 'is no user other than root');
  if (both.seccompProfile?.type !== 'RuntimeDefault') yield finding(owner, `${at}.seccompProfile`, 'is not RuntimeDefault, neither here nor in the pod');
  if (both.seLinuxOptions?.user !== undefined || both.seLinuxOptions?.role !== undefined) yield finding(owner, `${at}.seLinuxOptions`, 'sets user or role');
  if (both.windowsOptions?.hostProcess) yield finding(owner, `${at}.windowsOptions.hostProcess`, 'is a process of the node');
  for (const [index, { hostPort, hostIP }] of (container.ports ?? []).entries()) if (hostPort || hostIP) yield finding(owner, `${path}.ports[${index}].hostPort`, 'opens a port of the node');
}

function* houseFindings({ owner }: Pod, { container, path, init }: PodContainer): Generator<Finding> {
  const { image = '', resources } = container;
  if (!pinned.test(image)) yield finding(owner, `${path}.image`, `${JSON.stringify(image)} is not pinned by a tag other than latest, or a digest`);
  for (const [field, name] of [['requests', 'cpu'], ['requests', 'memory'], ['limits', 'memory']] as const) {
    if (resources?.[field]?.[name] === undefined) yield finding(owner, `${path}.resources.${field}.${name}`, 'is missing');
  }
  if (!init) for (const field of ['readinessProbe', 'livenessProbe'] as const) if (!container[field]) yield finding(owner, `${path}.${field}`, 'is missing');
}

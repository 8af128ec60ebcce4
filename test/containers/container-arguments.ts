import { expand } from './environment.js';
import { quantity, type Container, type PodTemplate } from './objects.js';

/** What the image of a container says of itself. */
export interface ImageDefaults {
  /** local name */
  readonly name: string;
  /** `USER` */
  readonly user: string;
}

type PodSecurity = PodTemplate['spec']['securityContext'];
/** An init container has no probes. */
export type AnyContainer = Omit<Container, 'startupProbe' | 'livenessProbe' | 'readinessProbe' | 'lifecycle'>;

/** The arguments of `podman create` that make of a manifest's container what a kubelet would. */
export function containerArguments(
  container: AnyContainer,
  podSecurity: PodSecurity,
  image: ImageDefaults,
  environment: Readonly<Record<string, string>>,
  volumePath: (name: string) => string,
): string[] {
  const mounts = container.volumeMounts.flatMap(({ name, mountPath, readOnly, subPath }) => {
    if (subPath !== undefined) throw new Error(`the mount of ${name} in ${container.name} has a subPath: it would not be kept up to date`);
    return ['--volume', `${volumePath(name)}:${mountPath}:${readOnly ? 'ro' : 'rw'}`];
  });
  const expanded = (words: readonly string[]): string[] => words.map((word) => expand(word, environment));
  const [program, ...first] = expanded(container.command ?? []);
  return [
    ...securityArguments(container, podSecurity, image),
    ...resourceArguments(container),
    ...mounts,
    ...Object.entries(environment).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...(container.workingDir === undefined ? [] : ['--workdir', container.workingDir]),
    // only what the manifest says: no proxies of this machine
    '--http-proxy=false',
    ...(program === undefined ? [] : ['--entrypoint', JSON.stringify([program, ...first])]),
    image.name,
    ...expanded(container.args ?? []),
  ];
}

function securityArguments({ name, securityContext }: AnyContainer, pod: PodSecurity, image: ImageDefaults): string[] {
  const user = securityContext.runAsUser ?? pod.runAsUser;
  const group = securityContext.runAsGroup ?? pod.runAsGroup;
  const [imageUser = '', imageGroup] = image.user.split(':');
  const effective = user ?? imageUser;
  if ((securityContext.runAsNonRoot ?? pod.runAsNonRoot) && (!/^\d+$/.test(String(effective)) || Number(effective) === 0)) {
    throw new Error(`container ${name} must not run as root, but its user is "${effective}" (a name cannot be verified)`);
  }
  const ids = [effective, group ?? (user === undefined ? imageGroup : undefined)].filter((id) => id !== undefined && id !== '').join(':');
  const groups = [...pod.supplementalGroups, ...(pod.fsGroup === undefined ? [] : [pod.fsGroup])];
  const { capabilities } = securityContext;
  const seccomp = securityContext.seccompProfile ?? pod.seccompProfile;
  return [
    ...(ids === '' ? [] : ['--user', ids]),
    ...groups.flatMap((id) => ['--group-add', String(id)]),
    // podman would mount writable tmpfs in a read-only container: a kubelet does not
    ...(securityContext.readOnlyRootFilesystem ? ['--read-only', '--read-only-tmpfs=false'] : []),
    ...(securityContext.allowPrivilegeEscalation ? [] : ['--security-opt', 'no-new-privileges']),
    ...capabilities.drop.flatMap((capability) => ['--cap-drop', capability]),
    ...capabilities.add.flatMap((capability) => ['--cap-add', capability]),
    // RuntimeDefault is what podman does unless it is told otherwise; without a profile a kubelet applies none
    ...(seccomp ? [] : ['--security-opt', 'seccomp=unconfined']),
  ];
}

/** 1024 shares of a processor are one. */
const SHARES_PER_PROCESSOR = 1_024;

function resourceArguments({ resources: { requests, limits } }: AnyContainer): string[] {
  const memory = limits.memory === undefined ? [] : [`--memory=${quantity(limits.memory)}b`, `--memory-swap=${quantity(limits.memory)}b`];
  const processors = limits.cpu === undefined ? [] : [`--cpus=${quantity(limits.cpu)}`];
  const share = requests.cpu ?? limits.cpu;
  return [...memory, ...processors, ...(share === undefined ? [] : [`--cpu-shares=${Math.max(2, Math.round(quantity(share) * SHARES_PER_PROCESSOR))}`])];
}

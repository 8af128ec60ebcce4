import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fieldOf, MissingReference, type PodIdentity, type References } from './environment.js';
import { quantity, type ProjectionSource, type Volume } from './objects.js';
import { must } from './podman.js';
import { ProjectedFolder, type ProjectedFile } from './projected-folder.js';

/** Where the contents of volumes come from. */
export interface VolumeSources extends References {
  /** a token of the pod's service account, which the API server knows */
  token(pod: PodIdentity): string;
}

/** A volume of a pod, on this machine. */
export interface MountedVolume {
  readonly path: string;
  /** Brings what it shows up to date, as the kubelet does while the pod runs. */
  update(): Promise<void>;
  unmount(): Promise<void>;
}

const nothing = async (): Promise<void> => {};

/**
 * Mounts a volume of a pod below a folder.
 * @param group the pod's `fsGroup`
 * @throws MissingReference when what it shows is not there yet
 */
export async function mountVolume(volume: Volume, below: string, pod: PodIdentity, group: number | undefined, sources: VolumeSources): Promise<MountedVolume> {
  const path = join(below, volume.name);
  if ('emptyDir' in volume) {
    await mkdir(path, { recursive: true });
    const { medium = '', sizeLimit } = volume.emptyDir ?? {};
    if (medium === 'Memory') await must('mount', ['-t', 'tmpfs', '-o', `size=${sizeLimit === undefined ? '50%' : quantity(sizeLimit)}`, 'tmpfs', path]);
    await ownWritable(path, 0o777, group);
    return { path, update: nothing, unmount: medium === 'Memory' ? async () => void (await must('umount', [path])) : nothing };
  }
  const files = (): ReadonlyMap<string, ProjectedFile> => filesOf(volume, pod, group, sources);
  files(); // before anything is made
  const folder = await ProjectedFolder.create(path, group);
  await folder.write(files());
  return { path, update: () => folder.write(files()), unmount: nothing };
}

/** The volume of a claim: a folder that outlives pods. */
export async function mountClaim(path: string, group: number | undefined): Promise<MountedVolume> {
  if (!(await stat(path).catch(() => undefined))) {
    await mkdir(path, { recursive: true });
    await ownWritable(path, 0o755, group);
  }
  return { path, update: nothing, unmount: nothing };
}

async function ownWritable(path: string, mode: number, group: number | undefined): Promise<void> {
  if (group !== undefined) await chown(path, 0, group);
  await chmod(path, group === undefined ? mode : mode | 0o2770);
}

/** The files of a Secret, ConfigMap or projected volume, by path. */
function filesOf(volume: Exclude<Volume, { emptyDir: unknown }>, pod: PodIdentity, group: number | undefined, sources: VolumeSources): ReadonlyMap<string, ProjectedFile> {
  if ('projected' in volume) {
    const { sources: projections, defaultMode } = volume.projected;
    return new Map(projections.flatMap((projection) => [...projected(projection, defaultMode, pod, group, sources)]));
  }
  if ('secret' in volume) {
    const { secretName, ...secret } = volume.secret;
    return projected({ secret: { ...secret, name: secretName } }, secret.defaultMode, pod, group, sources);
  }
  return projected({ configMap: volume.configMap }, volume.configMap.defaultMode, pod, group, sources);
}

function projected(source: ProjectionSource, defaultMode: number, pod: PodIdentity, group: number | undefined, sources: VolumeSources): ReadonlyMap<string, ProjectedFile> {
  if ('serviceAccountToken' in source) {
    // a token is for the pod's own user or group
    return new Map([[source.serviceAccountToken.path, { content: Buffer.from(sources.token(pod)), mode: group === undefined ? defaultMode : 0o600 }]]);
  }
  if ('downwardAPI' in source) {
    return new Map(source.downwardAPI.items.map(({ path, fieldRef }) => [path, { content: Buffer.from(fieldOf(pod, fieldRef.fieldPath)), mode: defaultMode }]));
  }
  const [kind, { name, optional, items }] = 'secret' in source ? (['secret', source.secret] as const) : (['configMap', source.configMap] as const);
  const data = sources[kind](name);
  if (!data && !optional) throw new MissingReference(`${kind} "${name}" not found`);
  if (!data) return new Map();
  const chosen = items ?? [...data.keys()].map((key) => ({ key, path: key, mode: undefined }));
  const files = new Map<string, ProjectedFile>();
  for (const { key, path, mode } of chosen) {
    const content = data.get(key);
    if (!content && !optional) throw new MissingReference(`${kind} "${name}" has no key "${key}"`);
    if (content) files.set(path, { content, mode: mode ?? defaultMode });
  }
  return files;
}

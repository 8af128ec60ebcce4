import type { IConfigMap, IContainer, IVolume } from 'kubernetes-models/v1';
import { environmentOf, expand } from './command-line.js';
import { containersOf, finding, ofKind, podsOf, type Finding, type Pod, type Rendering } from './objects.js';
import { secretsMade } from './secrets.js';

/** What is mounted below these is read-only content that something must have put there. */
const given = /\/(?:run|var\/run|etc\/redis)\/[\w./-]*\w/g;
/** Where volumes of a pod may write. */
const writable = ['emptyDir', 'persistentVolumeClaim', 'ephemeral'];

/** Files that commands, variables, probes and mounted configuration name are there, and the folders that dd2 writes to can be written to. */
export function* checkFiles(rendering: Rendering): Generator<Finding> {
  for (const pod of podsOf(rendering)) {
    for (const { container, path } of containersOf(pod)) {
      const files = filesOf(rendering, pod, container);
      for (const { text, at } of textsOf(rendering, pod, container)) {
        for (const [file] of text.matchAll(given)) {
          if (!files.some((name) => name === file || name.startsWith(`${file}/`))) yield finding(pod.owner, `${path}.${at}`, `no volume brings ${file}`);
        }
      }
      for (const folder of ['/tmp', ...dataFolders(rendering, container)]) {
        if (container.args && !isWritable(pod, container, folder)) yield finding(pod.owner, `${path}.volumeMounts`, `${folder} cannot be written to`);
      }
    }
  }
}

const dataFolders = (rendering: Rendering, container: IContainer): string[] => {
  const folder = environmentOf(rendering, container)['DD2_DATA_DIR'];
  return folder === undefined ? [] : [folder];
};

function isWritable(pod: Pod, { volumeMounts = [] }: IContainer, folder: string): boolean {
  const mount = volumeMounts.find(({ mountPath }) => mountPath === folder);
  if (!mount || mount.readOnly) return false;
  const volume = pod.spec.volumes?.find(({ name }) => name === mount.name);
  return pod.claims.includes(mount.name) || (volume !== undefined && writable.some((type) => type in volume));
}

/** What a container reads that may name files. */
function textsOf(rendering: Rendering, pod: Pod, container: IContainer): { readonly text: string; readonly at: string }[] {
  const environment = environmentOf(rendering, container);
  const words = (list: readonly string[] | undefined, at: string): { text: string; at: string }[] => (list ?? []).map((text, index) => ({ text: expand(text, environment), at: `${at}[${index}]` }));
  const maps = (container.volumeMounts ?? []).flatMap(({ name }) => pod.spec.volumes?.find((volume) => volume.name === name)?.configMap?.name ?? []);
  const contents = ofKind<IConfigMap>(rendering, 'ConfigMap').filter(({ metadata }) => maps.includes(metadata.name));
  return [
    ...words(container.args, 'args'),
    ...words(container.command, 'command'),
    ...Object.entries(environment).map(([name, text]) => ({ text, at: `env ${name}` })),
    ...(['startupProbe', 'readinessProbe', 'livenessProbe'] as const).flatMap((probe) => words(container[probe]?.exec?.command, `${probe}.exec.command`)),
    ...contents.flatMap(({ metadata, data }) => Object.entries(data ?? {}).map(([key, text]) => ({ text, at: `ConfigMap ${metadata.name} ${key}` }))),
  ];
}

/** Absolute paths of everything that Secrets, ConfigMaps and the API put into a container. */
function filesOf(rendering: Rendering, pod: Pod, { volumeMounts = [] }: IContainer): string[] {
  return volumeMounts.flatMap(({ name, mountPath, subPath }) => {
    const volume = pod.spec.volumes?.find((candidate) => candidate.name === name);
    if (!volume) return [];
    return subPath === undefined ? contentsOf(rendering, volume).map((file) => `${mountPath}/${file}`) : [mountPath];
  });
}

interface Source {
  readonly items?: readonly { readonly key: string; readonly path: string }[];
  readonly name?: string;
  readonly secretName?: string;
}

function contentsOf(rendering: Rendering, { secret, configMap, projected, downwardAPI }: IVolume): string[] {
  const ofSecret = ({ items, name, secretName = name }: Source): string[] => items?.map(({ path }) => path) ?? [...(secretsMade(rendering).get(secretName ?? '') ?? [])];
  const ofMap = ({ items, name }: Source): string[] =>
    items?.map(({ path }) => path) ?? ofKind<IConfigMap>(rendering, 'ConfigMap').flatMap(({ metadata, data, binaryData }) => (metadata.name === name ? Object.keys({ ...data, ...binaryData }) : []));
  return [
    ...(secret ? ofSecret(secret) : []),
    ...(configMap ? ofMap(configMap) : []),
    ...(downwardAPI?.items ?? []).map(({ path }) => path),
    ...(projected?.sources ?? []).flatMap((source) => [
      ...(source.secret ? ofSecret(source.secret) : []),
      ...(source.configMap ? ofMap(source.configMap) : []),
      ...(source.downwardAPI?.items ?? []).map(({ path }) => path),
      ...(source.serviceAccountToken ? [source.serviceAccountToken.path] : []),
    ]),
  ];
}

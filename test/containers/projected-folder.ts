import { chown, chmod, mkdir, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A file that a kubelet puts into a volume. */
export interface ProjectedFile {
  readonly content: Buffer;
  readonly mode: number;
}

const SET_GROUP = 0o2000;

/**
 * A folder as the kubelet keeps it for Secrets, ConfigMaps and projected volumes: the files are in a folder of their own, which the symbolic link
 * `..data` names, and what the container sees are links through it. An update is a new folder and one rename: readers see all of it or nothing.
 */
export class ProjectedFolder {
  #written = '';
  #generation = 0;

  private constructor(
    readonly path: string,
    /** the pod's `fsGroup`: it owns the files and may read them */
    readonly group: number | undefined,
  ) {}

  static async create(path: string, group: number | undefined): Promise<ProjectedFolder> {
    const folder = new ProjectedFolder(path, group);
    await mkdir(path, { recursive: true });
    await folder.#own(path, 0o777);
    return folder;
  }

  /** Writes files, by relative path, unless they are there already. */
  async write(files: ReadonlyMap<string, ProjectedFile>): Promise<void> {
    const state = JSON.stringify([...files].map(([path, { content, mode }]) => [path, mode, content.toString('base64')]));
    if (state === this.#written) return;
    const generation = `..${Date.now()}_${this.#generation++}`;
    const folder = join(this.path, generation);
    await mkdir(folder);
    await this.#own(folder, 0o755);
    for (const [path, { content, mode }] of files) {
      const parents = dirname(path) === '.' ? [] : dirname(path).split('/');
      for (const [index] of parents.entries()) {
        const parent = join(folder, ...parents.slice(0, index + 1));
        await mkdir(parent, { recursive: true });
        await this.#own(parent, 0o755);
      }
      await writeFile(join(folder, path), content);
      await this.#own(join(folder, path), mode, false);
    }
    const before = await readlink(join(this.path, '..data')).catch(() => undefined);
    await symlink(generation, join(this.path, '..data_tmp'));
    await rename(join(this.path, '..data_tmp'), join(this.path, '..data'));
    const shown = new Set([...files.keys()].map((path) => path.split('/')[0] ?? path));
    const present = (await readdir(this.path)).filter((name) => !name.startsWith('..'));
    for (const name of shown) if (!present.includes(name)) await symlink(join('..data', name), join(this.path, name));
    for (const name of present) if (!shown.has(name)) await rm(join(this.path, name));
    if (before !== undefined) await rm(join(this.path, before), { recursive: true });
    this.#written = state;
  }

  /** What `fsGroup` does to a volume that is only read: the group may read, and folders pass it on. */
  async #own(path: string, mode: number, isFolder = true): Promise<void> {
    if (this.group === undefined) return chmod(path, mode);
    await chown(path, 0, this.group);
    await chmod(path, isFolder ? mode | 0o550 | SET_GROUP : mode | 0o440);
  }
}

import { mkdir, open, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { claimFolder, leaveFolder, setFolderAside } from './embedded-folder.js';

const make = async (folder: string, content: string): Promise<void> => {
  await mkdir(join(folder, 'base'), { recursive: true });
  await writeFile(join(folder, 'base/file'), content);
};

describe('the folder of the embedded store', () => {
  it('is new at first and then passed on', async () => {
    const root = join(await temporaryFolder(), 'queue');
    const first = await claimFolder(root, 1n);
    expect(first).toEqual({ folder: join(root, 'epoch-1'), fresh: true });
    await make(first.folder, 'one');
    await leaveFolder(first.folder);
    const second = await claimFolder(root, 2n);
    expect(second).toEqual({ folder: join(root, 'epoch-2'), fresh: false });
    expect(await readFile(join(second.folder, 'base/file'), 'utf8')).toBe('one');
    expect(await readdir(root)).toEqual(['epoch-2']);
    expect(await claimFolder(root, 2n)).toEqual(second);
  });

  it('that was not left in order is copied: who writes to it still does not reach the copy', async () => {
    const root = await temporaryFolder();
    await make(join(root, 'epoch-9'), 'nine');
    await using held = await open(join(root, 'epoch-9/base/file'), 'r+');
    const { folder } = await claimFolder(root, 10n);
    await held.write('late');
    expect(await readFile(join(folder, 'base/file'), 'utf8')).toBe('nine');
    expect(await readdir(root)).toEqual(['epoch-10']);
  });

  it('is refused to a coordinator that has been replaced', async () => {
    const root = await temporaryFolder();
    await make(join(root, 'epoch-10'), 'ten');
    await expect(claimFolder(root, 9n)).rejects.toMatchObject({ code: 'FENCED' });
    expect(await readdir(root)).toEqual(['epoch-10']);
  });

  it('is set aside when it is damaged, and only the latest such one is kept', async () => {
    const root = await temporaryFolder();
    await make(join(root, 'epoch-1'), 'first');
    await setFolderAside(root, join(root, 'epoch-1'));
    await make(join(root, 'epoch-1'), 'second');
    const aside = await setFolderAside(root, join(root, 'epoch-1'));
    expect(await readFile(join(aside, 'base/file'), 'utf8')).toBe('second');
    expect((await claimFolder(root, 2n)).fresh).toBe(true);
    expect((await readdir(root)).map((name) => name.slice(0, 8))).toEqual(['damaged-']);
  });

  it('leaves nothing behind of copies that were not completed', async () => {
    const root = await temporaryFolder();
    await make(join(root, 'epoch-1'), 'one');
    await make(join(root, 'epoch-2.copy'), 'half');
    await claimFolder(root, 3n);
    expect(await readdir(root)).toEqual(['epoch-3']);
  });
});

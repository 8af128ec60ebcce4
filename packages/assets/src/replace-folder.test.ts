import { readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemCode } from './file-errors.js';
import { isLeftover, removeFolder, replaceFolder } from './replace-folder.js';

let parent: string;
let folder: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'dd2-replace-'));
  folder = join(parent, 'folder');
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const fill = async (temporary: string): Promise<void> => writeFile(join(temporary, 'manifest.json'), 'new');

describe('replaceFolder', () => {
  it('leaves what stood there when filling fails', async () => {
    await replaceFolder(folder, 'manifest.json', (temporary) => writeFile(join(temporary, 'manifest.json'), 'old'));
    await expect(replaceFolder(folder, 'manifest.json', () => Promise.reject(new Error('no room')))).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await readFile(join(folder, 'manifest.json'), 'utf8')).toBe('old');
    expect(await readdir(parent)).toEqual(['folder']);
  });

  it('replaces only folders that bear its marker', async () => {
    await mkdir(folder);
    await writeFile(join(folder, 'mine'), '');
    await expect(replaceFolder(folder, 'manifest.json', fill)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await readdir(folder)).toEqual(['mine']);
  });

  it.each([
    ['another folder', () => mkdir(join(folder, 'deep'), { recursive: true })],
    ['a file', () => writeFile(folder, '')],
    ['a link that leads nowhere', () => symlink('nowhere', folder)],
    ['nothing', () => Promise.resolve()],
  ])('without a marker, replaces %s', async (_, make) => {
    await make();
    await replaceFolder(folder, undefined, fill);
    expect(await readdir(folder)).toEqual(['manifest.json']);
    expect(await readdir(parent)).toEqual(['folder']);
  });

  it('works under names by which its leftovers are known', async () => {
    const seen: string[] = [];
    await replaceFolder(folder, undefined, async () => {
      seen.push(...(await readdir(parent)));
    });
    expect(seen.map(isLeftover)).toEqual([true]);
    expect(['folder', 'folder.new', '12', '12.old-0123456789a', 'new-0123456789ab'].map(isLeftover)).toEqual([false, false, false, false, false]);
  });
});

describe('removeFolder', () => {
  it('leaves at no moment a folder of which something is gone', async () => {
    const files = Array.from({ length: 64 }, (_, index) => String(index));
    await mkdir(folder);
    for (const file of files) await writeFile(join(folder, file), '');
    const seen = new Set<number>();
    const look = (): void => {
      try {
        seen.add(readdirSync(folder).length);
      } catch (thrown) {
        expect(systemCode(thrown)).toBe('ENOENT');
        seen.add(0);
      }
    };
    let removing = true;
    const removal = removeFolder(folder).finally(() => (removing = false));
    while (removing) {
      look();
      await setImmediate();
    }
    await removal;
    look();
    expect([...seen].filter((count) => count !== files.length)).toEqual([0]);
    expect(await readdir(parent)).toEqual([]);
  });

  it('removes what an interrupted one has left, and does nothing where there is no folder', async () => {
    const leftover = `${folder}.old-0123456789ab`;
    await mkdir(join(leftover, 'deep'), { recursive: true });
    await removeFolder(leftover);
    await removeFolder(folder);
    expect(await readdir(parent)).toEqual([]);
  });
});

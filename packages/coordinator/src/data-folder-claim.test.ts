import { spawnSync } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { claimDataFolder } from './data-folder-claim.js';
import { temporaryFolder } from './testing/temporary-folder.js';

const held = (folder: string, pid: number): Promise<void> => writeFile(join(folder, 'coordinator.lock'), JSON.stringify({ host: hostname(), pid }));

describe('claimDataFolder', () => {
  it('refuses a folder that a living process holds, naming it', async () => {
    const folder = await temporaryFolder();
    await held(folder, process.ppid);
    await expect(claimDataFolder(folder)).rejects.toMatchObject({ code: 'RUN_CONFLICT', field: folder, message: expect.stringContaining(String(process.ppid)) as string });
  });

  it('says what is wrong with a folder that cannot be made, and removes one that was made for nothing', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), '');
    await expect(claimDataFolder(join(folder, 'file', 'data'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', remedy: 'Choose another --data-dir' });
    await (await claimDataFolder(join(folder, 'data')))();
    expect(await readdir(folder)).toEqual(['file']);
  });

  it('takes over the claim of a process that is gone, or one that a crash cut off, and gives it back', async () => {
    const folder = await temporaryFolder();
    await held(folder, spawnSync(process.execPath, ['--version']).pid);
    await (await claimDataFolder(folder))();
    await writeFile(join(folder, 'coordinator.lock'), '{"ho');
    await (await claimDataFolder(folder))();
    expect(await readdir(folder)).toEqual([]);
  });
});

import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/processes.js';
import { ProjectedFolder } from './projected-folder.js';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.dispose());

const files = (entries: Record<string, string>) => new Map(Object.entries(entries).map(([path, text]) => [path, { content: Buffer.from(text), mode: 0o440 }]));

describe('a projected folder', () => {
  it('shows files through one link that changes as a whole', async () => {
    const path = join(folder.path, 'volume');
    const projected = await ProjectedFolder.create(path, undefined);
    await projected.write(files({ 'certs/tls.crt': 'one', token: 'a' }));
    const first = await readlink(join(path, '..data'));
    expect(await readlink(join(path, 'certs'))).toBe('..data/certs');
    expect(await readFile(join(path, 'certs/tls.crt'), 'utf8')).toBe('one');
    expect((await stat(join(path, 'token'))).mode & 0o777).toBe(0o440);
    await projected.write(files({ 'certs/tls.crt': 'one', token: 'a' }));
    expect(await readlink(join(path, '..data'))).toBe(first);
    await projected.write(files({ 'certs/tls.crt': 'two' }));
    expect(await readlink(join(path, '..data'))).not.toBe(first);
    expect(await readFile(join(path, 'certs/tls.crt'), 'utf8')).toBe('two');
    expect((await readdir(path)).filter((name) => name !== '..data')).toHaveLength(2);
  });
});

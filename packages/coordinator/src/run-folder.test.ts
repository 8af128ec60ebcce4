import { appendFile, mkdir, open, readdir, rm } from 'node:fs/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { RunFolder } from './run-folder.js';
import { temporaryFolder } from './testing/temporary-folder.js';

async function created(): Promise<RunFolder> {
  const folder = new RunFolder(await temporaryFolder(), 'run');
  await folder.create();
  return folder;
}

describe('RunFolder', () => {
  it('appends lines in the order of the calls', async () => {
    const folder = await created();
    for (let sequence = 0; sequence < 50; sequence++) void folder.append('events.jsonl', { sequence });
    await folder.settled();
    expect((await folder.events()).map(({ sequence }) => sequence)).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  it('reports a line that cannot be written and writes the next one', async () => {
    const folder = await created();
    await mkdir(folder.file('events.jsonl'));
    await expect(folder.append('events.jsonl', { sequence: 1 })).rejects.toThrow('EISDIR');
    await rm(folder.file('events.jsonl'), { recursive: true });
    await folder.append('events.jsonl', { sequence: 2 });
    expect(await folder.events()).toEqual([{ sequence: 2 }]);
  });

  it('drops the metrics from an update on, and the line that a crash cut off', async () => {
    const folder = await created();
    for (let update = 0; update < 5; update++) await folder.append('metrics.jsonl', { update });
    await appendFile(folder.file('metrics.jsonl'), '{"update":1,"lo');
    await folder.truncateMetrics(3);
    expect(await folder.read('metrics.jsonl')).toBe('{"update":0}\n{"update":1}\n{"update":2}\n');
    await folder.truncateMetrics(3);
    await folder.append('metrics.jsonl', { update: 3 });
    expect((await folder.read('metrics.jsonl'))?.split('\n')).toHaveLength(5);
    await folder.truncateMetrics(0);
    expect(await folder.read('metrics.jsonl')).toBe('');
  });

  it('drops the metrics of a file that is longer than a piece, and leaves nothing else', async () => {
    const folder = await created();
    const lines = Array.from({ length: 30_000 }, (_, update) => JSON.stringify({ update, phase: 'é'.repeat(40) }));
    await folder.write('metrics.jsonl', lines.join('\n')); // the last one is not complete
    await folder.truncateMetrics(30_000);
    expect(await folder.read('metrics.jsonl')).toBe(lines.join('\n'));
    await folder.truncateMetrics(29_000);
    expect(await folder.read('metrics.jsonl')).toBe(lines.slice(0, 29_000).map((line) => `${line}\n`).join(''));
    expect((await readdir(folder.path)).sort()).toEqual(['checkpoints', 'evaluations', 'metrics.jsonl']);
  });

  it('does not continue a line that a crash cut off', async () => {
    const folder = await created();
    await appendFile(folder.file('events.jsonl'), '{"sequence":1}\n{"sequ');
    await folder.append('events.jsonl', { sequence: 2 });
    expect(await folder.events()).toEqual([{ sequence: 1 }, { sequence: 2 }]);
  });

  it('skips lines of events that are not JSON objects', async () => {
    const folder = await created();
    await appendFile(folder.file('events.jsonl'), '{"sequence":1}\n[]\n7\nnull\n{"sequ');
    expect((await folder.events()).filter(({ sequence }) => sequence === 1)).toHaveLength(1);
    expect(await created().then((empty) => empty.events())).toEqual([]);
  });

  it('has lines on the disk when that was asked for, and asks no more often than needed', async () => {
    const folder = await created();
    await folder.flush('metrics.jsonl'); // there is no such file yet
    await using file = await open(folder.file('probe'), 'w');
    const datasync = vi.spyOn(Object.getPrototypeOf(file) as typeof file, 'datasync');
    onTestFinished(() => datasync.mockRestore());
    void folder.append('metrics.jsonl', { update: 1 });
    datasync.mockImplementationOnce(() => Promise.reject(new Error('EIO')));
    await expect(folder.flush('metrics.jsonl')).rejects.toThrow('EIO');
    await folder.flush('metrics.jsonl');
    await folder.flush('metrics.jsonl');
    expect(datasync).toHaveBeenCalledTimes(2);
    await folder.append('events.jsonl', { sequence: 1 }, true);
    await folder.flush('events.jsonl');
    expect(datasync).toHaveBeenCalledTimes(2);
  });

  it('removes what a process that was killed was writing, and nothing else', async () => {
    const folder = await created();
    const kept = ['run.json', 'evaluations/6.json', 'notes.tmp', 'metrics.jsonl'];
    for (const name of [...kept, 'metrics.jsonl.17-3.tmp', 'evaluations/6.json.17-4.tmp']) await folder.write(name, '');
    await folder.removeTemporaries();
    expect((await readdir(folder.path)).sort()).toEqual(['checkpoints', 'evaluations', 'metrics.jsonl', 'notes.tmp', 'run.json']);
    expect(await readdir(folder.file('evaluations'))).toEqual(['6.json']);
  });

  it('writes a file twice at once', async () => {
    const folder = await created();
    const contents = Array.from({ length: 20 }, (_, i) => String(i).repeat(10_000));
    await Promise.all(contents.map((content) => folder.write('queue.json', content)));
    expect(contents).toContain(await folder.read('queue.json'));
  });

  it('writes small files whole, without leftovers', async () => {
    const folder = await created();
    await folder.write('spec.yaml', 'a');
    await folder.write('spec.yaml', 'b');
    expect(await folder.read('spec.yaml')).toBe('b');
    expect(await folder.read('none')).toBeUndefined();
    expect((await readdir(folder.path)).sort()).toEqual(['checkpoints', 'evaluations', 'spec.yaml']);
  });
});

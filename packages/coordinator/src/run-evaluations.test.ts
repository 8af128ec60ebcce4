import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Dd2Error, parseRunSpec } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import type { EvaluationRecord } from './evaluate.js';
import { failureOf, RunEvaluations, type EvaluationRequest } from './run-evaluations.js';
import { RunFolder } from './run-folder.js';
import { temporaryFolder } from './testing/temporary-folder.js';

const spec = parseRunSpec(await readFile(join(import.meta.dirname, '../../../configs/mnist.yaml'), 'utf8'));
const silent = (): Promise<void> => Promise.resolve();
const never = new AbortController().signal;

async function opened(): Promise<RunEvaluations> {
  const folder = new RunFolder(await temporaryFolder(), 'run');
  await folder.create();
  return RunEvaluations.open(folder, spec);
}

function wanted(update: number, purpose: EvaluationRequest['purpose'] = 'periodic'): Omit<EvaluationRequest, 'requestedAt' | 'failed'> {
  return { id: purpose === 'periodic' ? String(update) : `${update}-${purpose}`, update, sampler: 'one-step', samples: 50, noiseSeed: 1, purpose };
}

function record(update: number, fid: number): EvaluationRecord {
  return { update, generatorUpdates: 0, sampler: 'one-step', fid, samples: 50, classCounts: [5], accuracy: 1, noiseSeed: 1, featureNetworkSha256: 'a', referenceSha256: 'b', millisecondsPerImage: 1, seconds: 1 };
}

describe('RunEvaluations', () => {
  it('keeps a request until its result is there, whoever opens the folder', async () => {
    const first = await opened();
    await first.request(wanted(10));
    await first.request(wanted(20));
    const second = await RunEvaluations.open(first.folder, spec);
    expect(second.pending.map(({ id }) => id)).toEqual(['10', '20']);
    expect([...second.held]).toEqual([10, 20]);
    await second.complete('10', { record: record(10, 3), grid: new Uint8Array([1]) }, silent);
    const third = await RunEvaluations.open(first.folder, spec);
    expect(third.pending.map(({ id }) => id)).toEqual(['20']);
    expect(third.record('10')).toEqual(record(10, 3));
    expect((await readdir(first.folder.file('evaluations'))).sort()).toEqual(['10.json', '10.png', '20.request.json']);
  });

  it('keeps the standard error of a FID, and reads results that were written without one', async () => {
    const { folder } = await opened();
    await folder.write('evaluations/10.json', JSON.stringify(record(10, 3)));
    await folder.write('evaluations/20.json', JSON.stringify({ ...record(20, 3), fidStandardError: 0.25 }));
    const evaluations = await RunEvaluations.open(folder, spec);
    expect(evaluations.curve.map(({ update, fidStandardError }) => [update, fidStandardError])).toEqual([[10, undefined], [20, 0.25]]);
  });

  it('asks once, and again for what was given up', async () => {
    const evaluations = await opened();
    await evaluations.request(wanted(10));
    const { requestedAt } = evaluations.find('10') ?? {};
    await evaluations.request(wanted(10));
    expect(evaluations.find('10')?.requestedAt).toBe(requestedAt);
    await evaluations.fail('10', new Dd2Error('CHECKPOINT_CORRUPT', 'torn', { field: 'file' }));
    expect(evaluations.pending).toEqual([]);
    expect([...evaluations.held]).toEqual([]);
    const found = (await RunEvaluations.open(evaluations.folder, spec)).find('10');
    expect(found && failureOf(found)).toMatchObject({ code: 'CHECKPOINT_CORRUPT', field: 'file' });
    await evaluations.request(wanted(10));
    expect(evaluations.pending).toHaveLength(1);
    await evaluations.complete('10', { record: record(10, 3) }, silent);
    await evaluations.request(wanted(10));
    expect(evaluations.pending).toEqual([]);
  });

  it('counts a crash between result and request as done, and damaged files as absent', async () => {
    const evaluations = await opened();
    await evaluations.request(wanted(10));
    await evaluations.request(wanted(20));
    await writeFile(evaluations.folder.file('evaluations', '10.json'), JSON.stringify(record(10, 3)));
    await writeFile(evaluations.folder.file('evaluations', '20.request.json'), '{"id": "2');
    await writeFile(evaluations.folder.file('evaluations', '30.json'), '{"update": 30}');
    await writeFile(evaluations.folder.file('evaluations', '40.request.json'), JSON.stringify({ ...wanted(40), id: '../../40', requestedAt: new Date().toISOString() }));
    const found = await RunEvaluations.open(evaluations.folder, spec);
    expect(found.pending).toEqual([]);
    expect(found.records.map(([id]) => id)).toEqual(['10']);
    const told: unknown[] = [];
    await found.finish(async (...result) => {
      told.push(result);
      expect(await readdir(found.folder.file('evaluations'))).toContain('10.request.json'); // until that is done
    });
    await found.finish(() => Promise.reject(new Error('again')));
    expect(told).toEqual([[record(10, 3), 'periodic']]);
    expect(await readdir(found.folder.file('evaluations'))).not.toContain('10.request.json');
  });

  it('tells of a result before its request is done', async () => {
    const evaluations = await opened();
    await evaluations.request(wanted(10));
    const seen: string[] = [];
    await evaluations.complete('10', { record: record(10, 3) }, async () => void seen.push(...(await readdir(evaluations.folder.file('evaluations')))));
    expect(seen.sort()).toEqual(['10.json', '10.request.json']);
    expect(await readdir(evaluations.folder.file('evaluations'))).toEqual(['10.json']);
  });

  it('knows the curve and its best point: periodic ones only, of equal ones the earlier', async () => {
    const evaluations = await opened();
    for (const [update, fid] of [[30, 5], [10, 9], [20, 5]] as const) {
      await evaluations.request(wanted(update));
      await evaluations.complete(String(update), { record: record(update, fid) }, silent);
    }
    await evaluations.request(wanted(30, 'final'));
    await evaluations.complete('30-final', { record: record(30, 1) }, silent);
    const found = await RunEvaluations.open(evaluations.folder, spec);
    expect(found.curve.map(({ update }) => update)).toEqual([10, 20, 30]);
    expect(found.best?.update).toBe(20);
  });

  it('wakes those who wait when a request, its end or its withdrawal cannot be written', async () => {
    let full = false;
    const folder = new RunFolder(await temporaryFolder(), 'run', () => (full ? Promise.reject(new Error('no space left')) : Promise.resolve()));
    await folder.create();
    const evaluations = await RunEvaluations.open(folder, spec);
    for (const end of [() => evaluations.fail('10', new Dd2Error('CHECKPOINT_CORRUPT', 'torn')), () => evaluations.withdraw('10')]) {
      full = false;
      await evaluations.request(wanted(10));
      const settled = evaluations.settled(never);
      full = true;
      await expect(end()).rejects.toThrow('no space left');
      await settled;
    }
  });

  it('keeps no result of what was withdrawn while it was written', async () => {
    const evaluations = await opened();
    await evaluations.request(wanted(10));
    const completing = evaluations.complete('10', { record: record(10, 1), grid: new Uint8Array([1]) }, silent);
    await evaluations.withdraw('10');
    await completing;
    expect(evaluations.records).toEqual([]);
    expect(await readdir(evaluations.folder.file('evaluations'))).toEqual([]);
  });

  it('drops the points of the curve after an update, with a request that a crash has left beside its result', async () => {
    const evaluations = await opened();
    for (const update of [10, 20]) {
      await evaluations.request(wanted(update));
      await evaluations.complete(String(update), { record: record(update, 1) }, silent);
      await writeFile(evaluations.folder.file('evaluations', `${update}.request.json`), JSON.stringify({ ...wanted(update), requestedAt: new Date().toISOString() }));
    }
    await (await RunEvaluations.open(evaluations.folder, spec)).dropAfter(10);
    const found = await RunEvaluations.open(evaluations.folder, spec);
    expect(found.records.map(([id]) => id)).toEqual(['10']);
    expect(found.pending).toEqual([]);
  });

  it('lets a run wait for its own evaluations, not for those that people ask for, and tells before it lets go', async () => {
    const evaluations = await opened();
    await evaluations.settled(never);
    await evaluations.request(wanted(10));
    await evaluations.request(wanted(10, 'asked'));
    const order: string[] = [];
    const waiting = evaluations.settled(never).then(() => order.push('settled'));
    await evaluations.complete('10', { record: record(10, 1) }, async () => void order.push('told'));
    await waiting;
    expect(order).toEqual(['told', 'settled']);
    await evaluations.request(wanted(20));
    const abort = new AbortController();
    const aborted = evaluations.settled(abort.signal);
    abort.abort(new Dd2Error('CANCELLED', 'enough'));
    await expect(aborted).rejects.toMatchObject({ code: 'CANCELLED' });
    await evaluations.withdraw('20');
    await evaluations.settled(never);
    expect((await readdir(evaluations.folder.file('evaluations'))).sort()).toEqual(['10-asked.request.json', '10.json']);
  });
});

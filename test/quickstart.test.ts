import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runDd2, temporaryFolder } from './support/processes.js';

/** The quickstart on real data with the teacher that ships, cut down to about a minute: enough for the method to show. */
const settings = {
  'phases.tune.updates': '120',
  'phases.tune.batch': '64',
  'phases.regress.updates': '250',
  'phases.regress.batch': '64',
  'phases.regress.pairs': '4000',
  'phases.regress.odeSteps': '10',
  'phases.distill.align': '40',
  'phases.distill.generatorUpdates': '40',
  'phases.distill.guidance.batch': '32',
  'phases.distill.generator.batch': '32',
  'phases.distill.ema': '0.9',
  'evaluation.everyGeneratorUpdates': '20',
  'evaluation.samples': '1000',
  'evaluation.finalSamples': '1000',
  'evaluation.multiStep': '[8]',
};

interface Measured {
  readonly fid: number;
  readonly samples: number;
  readonly accuracy: number;
  readonly classCounts: readonly number[];
}
interface Report {
  readonly reconstruction: Measured;
  readonly teacher: Measured;
  readonly naive: Measured;
  readonly beforeDistill: Measured;
  readonly afterRegress: Measured;
  readonly oneStep: Measured;
  readonly multiStep: Readonly<Record<string, Measured>>;
  readonly sampling: { readonly oneStepMsPerImage: number; readonly teacherMsPerImage: number };
  readonly seconds: Readonly<Record<string, number>>;
  readonly overhead: number;
}

describe('the quickstart', { timeout: 300_000 }, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let output = '';
  let report: Report;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const result = await runDd2(['quickstart', '--data-dir', folder.path, ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])]);
    output = result.output;
    expect(result.code, output).toBe(0);
    report = JSON.parse(await readFile(join(folder.path, 'report.json'), 'utf8')) as Report;
  }, 300_000);
  afterAll(() => folder.dispose());

  it('distils: each phase makes the one-step generator better', () => {
    expect(report.beforeDistill.fid).toBeGreaterThan(4 * report.afterRegress.fid);
    expect(report.oneStep.fid).toBeLessThan(0.95 * report.afterRegress.fid);
    expect(report.oneStep.accuracy).toBeGreaterThan(0.9);
    expect(report.multiStep['8']?.fid).toBeLessThan(report.oneStep.fid);
  });

  it('measures the references in their known order', () => {
    expect(report.reconstruction.fid).toBeLessThan(report.teacher.fid);
    expect(report.teacher.fid).toBeLessThan(report.naive.fid / 3);
    expect(report.teacher.accuracy).toBeGreaterThan(0.9);
  });

  it('says of how many samples, and of which classes', () => {
    expect(report.oneStep).toMatchObject({ samples: 1000, classCounts: new Array(10).fill(100) });
    expect(report.reconstruction.samples).toBe(10_000);
  });

  it('reports times and the share of them that is not computing', () => {
    expect(report.seconds).toMatchObject({ tune: expect.any(Number) as number, distill: expect.any(Number) as number, total: expect.any(Number) as number });
    expect(report.overhead).toBeGreaterThan(0);
    expect(report.overhead).toBeLessThan(1);
    expect(report.sampling.teacherMsPerImage).toBeGreaterThan(0);
    expect(report.sampling.oneStepMsPerImage).toBeGreaterThan(0);
  });

  it('prints a table with these figures and writes a grid of images', async () => {
    for (const { fid } of [report.teacher, report.naive, report.beforeDistill, report.oneStep]) expect(output).toContain(fid.toFixed(2));
    expect(output).toContain('cycle 3 guidance : 1 generator');
    expect((await readFile(join(folder.path, 'samples.png'))).subarray(1, 4).toString()).toBe('PNG');
  });
});

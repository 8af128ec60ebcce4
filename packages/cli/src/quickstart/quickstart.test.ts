import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSpecFile } from '../spec-file.js';
import { endOf, makeReport, renderReport, type ReportInputs } from './report.js';
import { overheadShare, phaseSeconds, readRunRecords, type RunRecordEvent } from './run-records.js';

const { spec } = readSpecFile(path.resolve(import.meta.dirname, '../../../../configs/mnist.yaml'));

const event = (second: number, kind: string, state: string, phase: string): RunRecordEvent => ({ at: new Date(second * 1_000).toISOString(), kind, state, phase, update: 0 });

describe('phaseSeconds', () => {
  it('adds up the attempts and leaves the pause between them out', () => {
    const events = [
      event(0, 'submitted', 'queued', ''),
      event(1, 'started', 'running', ''),
      event(2, 'phase', 'running', 'tune'),
      event(10, 'evaluation', 'running', 'tune'),
      event(12, 'paused', 'paused', 'tune'),
      event(100, 'started', 'running', 'tune'),
      event(101, 'resumed', 'running', 'tune'),
      event(105, 'phase', 'running', 'distill'),
      event(135, 'completed', 'completed', 'distill'),
    ];
    expect(phaseSeconds(events)).toEqual({ tune: 15, distill: 30 });
  });
});

describe('overheadShare', () => {
  it('weights updates by their time', () => {
    const update = (wallMs: number, overhead: number) => ({ update: 0, phase: 'tune', timing: { wallMs, overhead } });
    expect(overheadShare([update(100, 0.1), update(300, 0.3)])).toBeCloseTo(0.25, 10);
    expect(overheadShare([])).toBe(0);
  });
});

describe('readRunRecords', () => {
  it('reads the lines that are complete', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'dd2-records-'));
    try {
      await writeFile(path.join(folder, 'metrics.jsonl'), '{"update":0,"phase":"tune","timing":{"wallMs":5,"overhead":0.5}}\n{"update":1,"ph');
      expect(await readRunRecords(folder)).toEqual({ events: [], metrics: [{ update: 0, phase: 'tune', timing: { wallMs: 5, overhead: 0.5 } }] });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('the report', () => {
  const measured = (sampler: string, fid: number, update = 3_000) => ({ sampler, fid, update, samples: 5_000, accuracy: 0.95, classCounts: [500, 500], noiseSeed: 124n, millisecondsPerImage: 1 });
  const inputs: ReportInputs = {
    runId: 'mnist-1',
    config: 'configs/mnist.yaml',
    spec,
    evaluations: [measured('reconstruction', 5.6), measured('teacher', 8.5), measured('naive', 76), measured('one-step', 5.9), measured('multi-step-4', 8.1), measured('multi-step-12', 6.2)],
    beforeDistill: { ...measured('one-step', 306, 1_000), generatorUpdates: 0, noiseSeed: 123, samples: 2_000 },
    afterRegress: undefined,
    records: { events: [], metrics: [] },
    sampling: { oneStepMsPerImage: 0.5, teacherMsPerImage: 6 },
    seconds: { total: 400.04, install: 20 },
  };

  it('has the figures under stable keys', () => {
    const report = makeReport(inputs);
    expect(report).toMatchObject({
      teacher: { fid: 8.5, noiseSeed: 124 },
      oneStep: { fid: 5.9, samples: 5_000, accuracy: 0.95, classCounts: [500, 500] },
      naive: { fid: 76 },
      beforeDistill: { fid: 306, samples: 2_000, update: 1_000 },
      reconstruction: { fid: 5.6 },
      multiStep: { 4: { fid: 8.1 }, 12: { fid: 6.2 } },
      sampling: { oneStepMsPerImage: 0.5, teacherMsPerImage: 6 },
      seconds: { total: 400, install: 20 },
    });
    expect(report).not.toHaveProperty('afterRegress');
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it('is shown as a table in the order of the story', () => {
    const lines = renderReport(makeReport(inputs)).split('\n');
    expect(lines.slice(2, 9).map((line) => line.split(/ {2,}/)[0])).toEqual([
      'reconstruction of test images',
      'teacher, one token at a time',
      'naive: independent tokens',
      'generator before distillation',
      'generator, one step',
      'first 4 tokens, then the teacher',
      'first 12 tokens, then the teacher',
    ]);
    expect(lines.join('\n')).toContain('12.0 times as long');
  });

  it('refuses to leave a measurement out', () => {
    expect(() => makeReport({ ...inputs, evaluations: inputs.evaluations.slice(1) })).toThrow(expect.objectContaining({ code: 'INTERNAL', field: 'reconstruction' }) as Error);
  });

  it('knows where phases end', () => {
    expect(endOf('tune', spec)).toBe(spec.phases.tune.updates);
    expect(endOf('regress', { ...spec, phases: { ...spec.phases, regress: undefined } })).toBeUndefined();
  });
});

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CommitWatch } from './commit-watch.js';
import { faultPlan, faultTargets, type Fault } from './fault-plan.js';
import { quantile, RecoveryLog, type FaultRecord } from './recovery.js';
import { renderKillLoop } from './render-report.js';
import { differencesOf, readOutcome, type RunOutcome } from './run-outcome.js';
import { SupervisedProcess } from './supervised-process.js';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dd2-chaos-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const first = (count: number, seed: number): Fault[] => {
  const plan = faultPlan({ seed, mtbfMs: 5_000, targets: faultTargets });
  return Array.from({ length: count }, () => plan.next().value);
};

describe('faultPlan', () => {
  it('is decided by its seed', () => {
    expect(first(50, 7)).toEqual(first(50, 7));
    expect(first(50, 7)).not.toEqual(first(50, 8));
  });

  it('spreads faults over targets, processes, kinds and time as it says', () => {
    const faults = first(4_000, 1);
    expect((faults.at(-1)?.atMs ?? 0) / faults.length / 5_000).toBeCloseTo(1, 1);
    expect(faults.every(({ atMs }, i) => atMs > (faults[i - 1]?.atMs ?? 0))).toBe(true);
    const share = (matches: (fault: Fault) => boolean): number => faults.filter(matches).length / faults.length;
    for (const target of faultTargets) expect(share((fault) => fault.target === target)).toBeCloseTo(1 / 3, 1);
    expect(share(({ kind }) => kind === 'frozen')).toBeCloseTo(0.25, 1);
    expect(faults.some(({ target, kind }) => target !== 'store' && kind === 'emptied')).toBe(false);
    expect(share(({ target, kind }) => target === 'store' && kind === 'emptied')).toBeCloseTo(0.25 / 3, 1);
    expect(share(({ victim }) => victim < 0.5)).toBeCloseTo(0.5, 1);
    expect(Math.min(...faults.map(({ frozenMs }) => frozenMs))).toBeGreaterThanOrEqual(1_000);
    expect(Math.max(...faults.map(({ frozenMs }) => frozenMs))).toBeLessThanOrEqual(4_000);
  });
});

describe('RecoveryLog', () => {
  const fault = (kind: FaultRecord['kind']): FaultRecord => ({ atSeconds: 0, target: 'worker', kind, what: 'worker 0 struck' });

  it('measures from each fault to the next commit, whatever strikes in between', () => {
    let now = 0;
    const recovered: FaultRecord[] = [];
    const log = new RecoveryLog((record) => recovered.push(record), () => now);
    log.committed(); // nothing was struck
    now = 1_000;
    log.struck(fault('killed'));
    now = 1_500;
    log.struck(fault('frozen'));
    now = 3_000;
    log.committed();
    log.committed();
    now = 4_000;
    log.struck(fault('killed'));
    expect(recovered.map(({ kind, recoverySeconds }) => [kind, recoverySeconds])).toEqual([['killed', 2], ['frozen', 1.5]]);
    expect(log.open).toHaveLength(1);
    expect(log.summaries()).toEqual([
      { target: 'worker', kind: 'killed', count: 1, median: 2, p95: 2, max: 2 },
      { target: 'worker', kind: 'frozen', count: 1, median: 1.5, p95: 1.5, max: 1.5 },
    ]);
  });

  it('takes quantiles by nearest rank', () => {
    const values = Array.from({ length: 20 }, (_, i) => i + 1);
    expect([quantile(values, 0.5), quantile(values, 0.95), quantile(values, 1), quantile([3], 0.5)]).toEqual([10, 19, 20, 3]);
  });
});

describe('CommitWatch', () => {
  it('counts lines that are added, and not the file that a resumed run writes anew', () => {
    const runs = path.join(folder, 'runs', 'r');
    const file = path.join(runs, 'metrics.jsonl');
    mkdirSync(runs, { recursive: true });
    let commits = 0;
    const watch = new CommitWatch(folder, () => (commits += 1));
    try {
      watch.add('r');
      watch.poll();
      expect(commits).toBe(0);
      appendFileSync(file, '{"update":0}\n');
      watch.poll();
      watch.poll();
      expect(commits).toBe(1);
      appendFileSync(file, '{"update":1}\n');
      watch.poll();
      expect(commits).toBe(2);
      writeFileSync(`${file}.tmp`, '{"update":0}\n');
      renameSync(`${file}.tmp`, file);
      watch.poll();
      expect(commits).toBe(2);
      appendFileSync(file, '{"update":1}\n');
      watch.poll();
      expect(commits).toBe(3);
    } finally {
      watch.close();
    }
  });
});

describe('SupervisedProcess', () => {
  const surprises: string[] = [];
  const supervise = (): { process: SupervisedProcess; children: ChildProcess[] } => {
    const children: ChildProcess[] = [];
    const process = new SupervisedProcess({
      name: 'sleeper',
      onSurprise: (name, reason) => surprises.push(`${name}: ${reason}`),
      spawn: () => {
        const child = spawn('sleep', ['60']);
        children.push(child);
        return child;
      },
    });
    return { process, children };
  };
  const started = async (children: ChildProcess[], count: number): Promise<ChildProcess> => {
    for (;;) {
      const child = children[count - 1];
      if (child?.pid !== undefined) return child;
      await delay(10);
    }
  };

  it('starts what it kills again, after the repair, and leaves nothing behind', async () => {
    const { process, children } = supervise();
    const victim = await started(children, 1);
    const order: string[] = [];
    await process.kill(() => Promise.resolve(void order.push(`repaired when ${children.length} had been started`)));
    const second = await started(children, 2);
    expect([victim.signalCode, order]).toEqual(['SIGKILL', ['repaired when 1 had been started']]);
    await process.close();
    expect([second.signalCode, children.length, surprises]).toEqual(['SIGTERM', 2, []]);
  });

  it('stops a process for a while, and kills it then when it should', async () => {
    const { process, children } = supervise();
    const victim = await started(children, 1);
    await process.freeze(20, true);
    await once(victim, 'exit');
    expect(victim.signalCode).toBe('SIGKILL');
    await started(children, 2);
    await process.freeze(60_000, false);
    await process.close(); // a stopped process cannot be asked to end until it goes on
    expect([children[1]?.signalCode, surprises]).toEqual(['SIGTERM', []]);
  });

  it('tells when a process ends by itself', async () => {
    const { process, children } = supervise();
    (await started(children, 1)).kill('SIGUSR1');
    await started(children, 2);
    await process.close();
    expect(surprises.splice(0)).toEqual(['sleeper: SIGUSR1']);
  });
});

describe('outcomes', () => {
  const write = (name: string, text: string): void => {
    const file = path.join(folder, 'runs', 'r', name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  };
  const same: RunOutcome = { update: 2, sha256: { 'generator.safetensors': 'a' }, fid: { '1': 5 }, updates: [0, 1] };

  it('reads the newest checkpoint, the evaluations that are done, and the order of the updates', async () => {
    write('checkpoints/9/generator.safetensors', 'old');
    write('checkpoints/10/generator.safetensors', 'new');
    write('checkpoints/10/manifest.json', '{"createdAt":"differs"}');
    write('checkpoints/11.tmp/generator.safetensors', 'torn');
    write('evaluations/10.json', '{"fid":7.5}');
    write('evaluations/12.request.json', '{}');
    write('metrics.jsonl', '{"update":0}\n{"update":1}\n');
    const sha256 = '11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437';
    expect(await readOutcome(folder, 'r')).toEqual({ update: 10, sha256: { 'generator.safetensors': sha256 }, fid: { '10': 7.5 }, updates: [0, 1] });
  });

  it('says in what a run differs', () => {
    expect(differencesOf(same, same)).toEqual([]);
    const other: RunOutcome = { update: 3, sha256: { 'generator.safetensors': 'b', 'extra.safetensors': 'c' }, fid: {}, updates: [0, 0, 1] };
    expect(differencesOf(other, same)).toEqual([
      'it ended with checkpoint 3 instead of 2',
      'generator.safetensors of checkpoint 3 is another one',
      'extra.safetensors of checkpoint 3 is another one',
      'evaluation 1 has FID none instead of 5',
      'metrics.jsonl has update 0 where 1 belongs',
      'metrics.jsonl has 3 updates instead of 2',
    ]);
  });

  it('are told with the recovery times', () => {
    const text = renderKillLoop({
      options: { minutes: 1, mtbfSeconds: 5, seed: 0, targets: ['worker'], workers: 2, store: 'embedded' },
      identical: false,
      runs: [
        { runId: 'r-1', seed: 0, differences: [] },
        { runId: 'r-2', seed: 1, lost: 'it is failed: no disk', differences: [] },
      ],
      recovery: [{ target: 'worker', kind: 'killed', count: 12, median: 0.31, p95: 0.9, max: 1.25 }],
      faults: Array.from({ length: 12 }, () => ({ atSeconds: 1, target: 'worker', kind: 'killed', what: 'worker 0 killed', recoverySeconds: 0.31 }) as const),
      surprises: [],
    });
    expect(text.split('\n')).toEqual([
      'fault to next commit  faults  median     p95     max',
      '--------------------  ------  ------  ------  ------',
      'worker killed             12  0.31 s  0.90 s  1.25 s',
      '',
      'run r-2 (seed 1): it is failed: no disk',
      '12 faults, 2 runs: 1 of them with the same checkpoint hashes and FIDs as undisturbed',
    ]);
  });
});

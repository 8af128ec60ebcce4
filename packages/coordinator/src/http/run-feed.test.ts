import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseRunSpec } from '@dd2/core';
import { expect, it, onTestFinished, vi } from 'vitest';
import { RunFolder } from '../run-folder.js';
import { RunHistory } from '../run-history.js';
import type { UpdateMetrics } from '../run-state.js';
import { configs } from '../testing/finished-run.js';
import { temporaryFolder } from '../testing/temporary-folder.js';
import type { EventSink } from './event-stream.js';
import { RunFeed } from './run-feed.js';

/** A viewer that takes what is sent only when it is told to. */
class Viewer implements EventSink {
  text = '';
  ended = false;
  isBehind = false;
  onReady: () => void = () => undefined;
  takes = true;

  send(frames: Uint8Array): boolean {
    this.text += Buffer.from(frames).toString();
    this.isBehind = !this.takes;
    return this.takes;
  }

  end(frames: Uint8Array = Buffer.of()): void {
    this.text += Buffer.from(frames).toString();
    this.ended = true;
  }

  take(): void {
    this.takes = true;
    this.isBehind = false;
    this.onReady();
  }

  get events(): readonly { readonly kind: string; readonly message: string; readonly update: number; readonly sequence: string }[] {
    return [...this.text.matchAll(/^data: (\{"event".*\})$/gm)].map(([, json = '']) => (JSON.parse(json) as { event: Viewer['events'][number] }).event);
  }
}

async function history(): Promise<RunHistory> {
  const spec = parseRunSpec(await readFile(join(configs, 'mnist.yaml'), 'utf8'));
  const run = new RunHistory({ runId: 'a', name: 'a', createdAt: new Date().toISOString() }, new RunFolder(await temporaryFolder(), 'a'), spec, () => 2);
  await run.folder.create();
  await run.record('started', 'it starts', { state: 'running' });
  return run;
}

const metrics = (update: number): UpdateMetrics => ({ ...({ phase: 'tune', network: 'generator', generatorUpdates: 0, losses: { loss: 1 }, gradientNorm: 1, learningRate: 1, timing: { overhead: 0 } } as unknown as UpdateMetrics), update });

it('gives every viewer the events after what it knows, written out once for all', async () => {
  const run = await history();
  await run.record('phase', 'one', {});
  const feed = new RunFeed(run, () => undefined);
  const stringify = vi.spyOn(JSON, 'stringify');
  onTestFinished(() => stringify.mockRestore());
  const viewers = Array.from({ length: 50 }, () => new Viewer());
  for (const [index, viewer] of viewers.entries()) feed.add(viewer, index % 3);
  stringify.mockClear();
  await run.record('phase', 'two', {});
  // one line of events.jsonl, one event for all
  expect(stringify).toHaveBeenCalledTimes(2);
  for (const [index, { events }] of viewers.entries()) expect(events.map(({ sequence }) => Number(sequence))).toEqual([1, 2, 3].slice(index % 3));
  expect(viewers[0]?.text).toContain('id: 3\nevent: run-event\ndata: {"event":{');
});

it('tells progress at most once a second, and none that an event has overtaken', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const run = await history();
  const feed = new RunFeed(run, () => undefined);
  const reader = new Viewer();
  feed.add(reader, 1);
  for (let update = 0; update < 50; update++) {
    run.progress(metrics(update));
    await vi.advanceTimersByTimeAsync(100);
  }
  const told = reader.events.map(({ update }) => update);
  expect(told.length).toBeGreaterThanOrEqual(5);
  expect(told.length).toBeLessThanOrEqual(6);
  expect(told).toEqual([...told].sort((a, b) => a - b));
  expect(reader.text).not.toContain('id: ');
  // Its progress is due in a while; what has happened since says more.
  await vi.advanceTimersByTimeAsync(2_000);
  run.progress(metrics(60));
  await vi.advanceTimersByTimeAsync(300);
  run.progress(metrics(61));
  await run.record('pausing', 'it pauses', { state: 'pausing' });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(reader.events.at(-1)).toMatchObject({ kind: 'pausing', update: 62 });
  const late = new Viewer();
  feed.add(late, 1);
  expect(late.events.map(({ kind }) => kind)).toEqual(['pausing']);
});

it('keeps nothing for a reader that does not keep up, who gets it all later, but of the progress only the newest', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const run = await history();
  const feed = new RunFeed(run, () => undefined);
  const slow = new Viewer();
  slow.takes = false;
  feed.add(slow, 0);
  for (let index = 0; index < 200; index++) {
    await run.record('phase', `event ${index}`, {});
    run.progress(metrics(index));
    await vi.advanceTimersByTimeAsync(1_100);
  }
  expect(slow.events.map(({ sequence }) => sequence)).toEqual(['1']); // nothing piles up
  slow.take();
  const { events } = slow;
  expect(events.filter(({ kind }) => kind !== 'progress').map(({ sequence }) => Number(sequence))).toEqual(Array.from({ length: 201 }, (_, index) => index + 1));
  expect(events.filter(({ kind }) => kind === 'progress').map(({ update }) => update)).toEqual([200]);
});

it('ends with the run, and is over when the last viewer has left', async () => {
  const run = await history();
  const onEmpty = vi.fn();
  const feed = new RunFeed(run, onEmpty);
  const [staying, leaving] = [new Viewer(), new Viewer()];
  feed.add(staying, 0);
  feed.add(leaving, 0)();
  expect(onEmpty).not.toHaveBeenCalled();
  await run.record('completed', 'done', { state: 'completed' });
  expect(staying.text).toMatch(/event: end\ndata: \{\}\n\n/);
  expect(staying.ended).toBe(true);
  expect(leaving.events.map(({ kind }) => kind)).toEqual(['started']);
  expect(onEmpty).toHaveBeenCalledTimes(1);
});

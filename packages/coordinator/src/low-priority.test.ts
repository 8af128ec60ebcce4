import { getPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';

/** The priority that a thread of that priority comes to. */
function lowered(before: number): Promise<unknown> {
  const module = new URL('../dist/low-priority.js', import.meta.url).href;
  const code = `
    const { setPriority, getPriority } = require('node:os');
    setPriority(${before});
    import(${JSON.stringify(module)}).then(({ lowerPriority }) => {
      lowerPriority();
      require('node:worker_threads').parentPort.postMessage(getPriority());
    });`;
  return new Promise((resolve, reject) => {
    const thread = new Worker(code, { eval: true });
    thread.once('message', resolve);
    thread.once('error', reject);
  });
}

it.runIf(process.platform === 'linux')('lowers the priority of its thread alone, and never raises it', async () => {
  const own = getPriority();
  if (own <= 10) expect(await lowered(own)).toBe(10);
  expect(await lowered(15)).toBe(15);
  expect(getPriority()).toBe(own);
});

import { expect, it } from 'vitest';
import { toText } from './process-logger.js';

it('writes a log record as a sentence', () => {
  const record = { level: 40, time: 1, pid: 2, hostname: 'h', run: 'mnist-1', update: 12, nested: { a: 1 }, err: { type: 'Error', message: 'disk full' }, msg: 'no checkpoint' };
  expect(toText(JSON.stringify(record))).toBe('warning: no checkpoint: disk full (run mnist-1, update 12)');
  expect(toText(JSON.stringify({ level: 30, msg: 'ready' }))).toBe('info: ready');
});

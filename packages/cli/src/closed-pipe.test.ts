import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import path from 'node:path';
import { expect, it, vi } from 'vitest';
import { endWithReader } from './closed-pipe.js';

it('leaves once, and passes on any other error', () => {
  const stream = new EventEmitter();
  const leave = vi.fn();
  endWithReader(stream, leave);
  const closed = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
  stream.emit('error', closed);
  stream.emit('error', closed);
  expect(leave).toHaveBeenCalledOnce();
  expect(() => stream.emit('error', Object.assign(new Error('no space'), { code: 'ENOSPC' }))).toThrow('no space');
});

it('ends a command without a word when its reader has had enough', async () => {
  const dd2 = path.resolve(import.meta.dirname, '../bin/dd2.mjs');
  const child = spawn(process.execPath, [dd2, 'completion', 'zsh'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let errors = '';
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  const [code] = (await once(child, 'close')) as [number];
  expect([code, errors]).toEqual([0, '']);
});

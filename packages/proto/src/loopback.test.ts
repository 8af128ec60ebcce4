import { expect, it } from 'vitest';
import { hostOf, isLoopback, joinAddress } from './loopback.js';

it('knows what never leaves this machine', () => {
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', '[::1]', 'localhost', 'LOCALHOST', '::ffff:127.0.0.1']) expect(isLoopback(host), host).toBe(true);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'localhost.example', '127.0.0.1.example', 'node-127', '', '::ffff:10.0.0.1']) expect(isLoopback(host), host).toBe(false);
});

it('takes addresses apart and puts them together', () => {
  expect(['10.0.0.5:7070', '[::1]:7070', 'node-1:1'].map(hostOf)).toEqual(['10.0.0.5', '::1', 'node-1']);
  expect([joinAddress('10.0.0.5', 1), joinAddress('::1', 1), joinAddress('[::1]', 1)]).toEqual(['10.0.0.5:1', '[::1]:1', '[::1]:1']);
});

import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { endWithSignals } from './first-process.js';

function processOf(pid: number): { readonly source: NodeJS.Process; readonly exits: number[] } {
  const exits: number[] = [];
  const source = Object.assign(new EventEmitter(), { pid }) as unknown as NodeJS.Process;
  endWithSignals(source, (code) => exits.push(code));
  return { source, exits };
}

it('the first process of a container ends with a signal that nobody listens to', () => {
  const { source, exits } = processOf(1);
  source.emit('SIGTERM');
  source.emit('SIGINT');
  expect(exits).toEqual([143, 130]);
});

it('leaves a signal to those who listen, and to the system elsewhere', () => {
  const { source, exits } = processOf(1);
  const listener = (): void => undefined;
  source.on('SIGTERM', listener);
  source.emit('SIGTERM');
  expect(exits).toEqual([]);
  source.off('SIGTERM', listener);
  source.emit('SIGTERM');
  expect(exits).toEqual([143]);
  expect(processOf(2).source.listenerCount('SIGTERM')).toBe(0);
});

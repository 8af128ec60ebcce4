import { Dd2Error } from '@dd2/core';
import { afterEach, expect, it, vi } from 'vitest';
import { reportError } from './report-error.js';

/** The test runner starts its processes with an IPC channel, as a supervisor does. */
const withSupervisor = (connected: boolean): void => {
  Object.defineProperty(process, 'connected', { value: connected, configurable: true });
};
const { connected } = process;
afterEach(() => withSupervisor(connected));

const report = (thrown: unknown, verbose: boolean, exitCode = 1, json = false): string => {
  withSupervisor(false);
  let text = '';
  expect(reportError(thrown, { verbose, json, write: (part) => (text += part) })).toBe(exitCode);
  return text;
};

it('prints one line with code, field and remedy', () => {
  const error = new Dd2Error('INVALID_SPEC', 'too\n small', { field: 'seed', remedy: 'Use 1' });
  expect(report(error, false, 2)).toBe('error INVALID_SPEC: too small (seed). Use 1\n');
});

it('prints stacks of the error and its causes when asked to', () => {
  const text = report(new Dd2Error('UNAVAILABLE', 'gone', { cause: new Error('socket closed') }), true, 5);
  expect(text).toMatch(/^error UNAVAILABLE: gone\nDd2Error: gone\n +at /);
  expect(text).toContain('Error: socket closed');
});

it('says how to learn more about what was not foreseen', () => {
  expect(report(new TypeError('x is undefined'), false)).toMatch(/^error INTERNAL: x is undefined\n.*--verbose/);
});

it('tells a supervisor instead of printing', () => {
  const send = vi.spyOn(process, 'send').mockReturnValue(true);
  withSupervisor(true);
  let text = '';
  reportError(new Dd2Error('PROVIDER_UNAVAILABLE', 'no device'), { verbose: false, write: (part) => (text += part) });
  expect([text, send.mock.calls[0]?.[0]]).toEqual(['', { code: 'PROVIDER_UNAVAILABLE', message: 'no device' }]);
  send.mockRestore();
});

it('is one JSON object for programs', () => {
  const error = new Dd2Error('RUN_NOT_FOUND', 'there is no such run', { field: 'x', remedy: 'Look at the list' });
  expect(JSON.parse(report(error, false, 3, true))).toEqual({ error: { code: 'RUN_NOT_FOUND', message: 'there is no such run (x). Look at the list', field: 'x', remedy: 'Look at the list', retryable: false } });
  expect(report(new TypeError('x'), false, 1, true).trim().split('\n')).toHaveLength(1);
});

it('hands nothing to the terminal but text', () => {
  expect(report(new Dd2Error('INVALID_SPEC', 'unknown field "\u001b]0;title\u0007\u001b[31mred"'), false, 2)).toBe('error INVALID_SPEC: unknown field "?]0;title??[31mred"\n');
});

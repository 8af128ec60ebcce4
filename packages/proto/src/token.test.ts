import { Metadata } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { checkToken, equalTokens, newToken, tokenMetadata, tokenOf } from './token.js';

it('makes tokens that nobody guesses', () => {
  const tokens = Array.from({ length: 100 }, newToken);
  expect(new Set(tokens).size).toBe(100);
  for (const token of tokens) expect(token).toMatch(/^[\w-]{43}$/);
});

it('compares tokens of any length', () => {
  const token = newToken();
  expect(equalTokens(token, token)).toBe(true);
  for (const other of ['', token.slice(1), `${token}x`, token.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))]) expect(equalTokens(token, other)).toBe(false);
});

it('takes the token of a file, and never repeats what is none', () => {
  expect(checkToken(' 0123456789abcdef\n', 'file')).toBe('0123456789abcdef');
  for (const text of ['', 'secret', 'secret with spaces in it', 'sëcret-sëcret-sëcret']) {
    expect(() => checkToken(text, 'some/file')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.not.stringContaining('cret') as string, field: 'some/file' }));
  }
});

it('travels as request metadata', () => {
  const metadata = new Metadata();
  expect(tokenOf(metadata)).toBeUndefined();
  metadata.set('authorization', 'Basic 0123456789abcdef');
  expect(tokenOf(metadata)).toBeUndefined();
  for (const [key, value] of Object.entries(tokenMetadata('0123456789abcdef'))) metadata.set(key, value);
  expect(tokenOf(metadata)).toBe('0123456789abcdef');
});

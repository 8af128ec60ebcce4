import { expect, it } from 'vitest';
import { cookieName, SessionCookies } from './session-cookie.js';

const DAY_MS = 86_400_000;

it('is valid for 30 days, for the token that it was made with, and until it is ended', () => {
  let now = 1_000;
  const sessions = new SessionCookies('the-api-token-of-this', () => now);
  const { value, maxAgeSeconds } = sessions.issue();
  expect(value).not.toContain('the-api-token');
  expect(maxAgeSeconds).toBe(30 * 86_400);
  expect(sessions.isValid(value)).toBe(true);
  expect(new SessionCookies('the-api-token-of-this', () => now).isValid(value)).toBe(true);
  expect(new SessionCookies('the-api-token-of-next', () => now).isValid(value)).toBe(false);
  now += 30 * DAY_MS - 1;
  expect(sessions.isValid(value)).toBe(true);
  now += 1;
  expect(sessions.isValid(value)).toBe(false);
});

it('cannot be made up', () => {
  const sessions = new SessionCookies('token-token-token', () => 0);
  const { value } = sessions.issue();
  const [id = '', expiry = '', signature = ''] = value.split('.');
  for (const forged of ['', '.', '..', `${id}.${Number(expiry) + 1}.${signature}`, `x${id}.${expiry}.${signature}`, `${id}.${expiry}`, `${id}.${expiry}.`, `${value}.x`, `${id}.Infinity.${signature}`, `${id}.${expiry}.${signature.slice(1)}`]) {
    expect(sessions.isValid(forged), forged).toBe(false);
  }
});

it('can be ended; others stay', () => {
  const sessions = new SessionCookies('token-token-token');
  const [one, other] = [sessions.issue().value, sessions.issue().value];
  sessions.end(one);
  sessions.end('nonsense');
  expect([one, other].map((value) => sessions.isValid(value))).toEqual([false, true]);
});

it('has a name for each cluster', () => {
  expect(cookieName('81bb3028257c493c9f30b8471f192af7')).toBe('dd2-session-81bb3028');
});

import { expect, it, vi } from 'vitest';
import { RecentAnswers } from './recent-answers.js';

it('gives one answer to those who ask the same within a moment', async () => {
  let now = 0;
  const answers = new RecentAnswers(() => now);
  const ask = vi.fn(async () => ({ at: now }));
  const [one, two] = await Promise.all([answers.get('a', 1_000, ask), answers.get('a', 1_000, ask)]);
  expect(two).toBe(one);
  now = 999;
  expect(await answers.get('a', 1_000, ask)).toBe(one);
  expect(await answers.get('b', 1_000, ask)).not.toBe(one);
  now = 1_000;
  expect(await answers.get('a', 1_000, ask)).toEqual({ at: 1_000 });
  expect(ask).toHaveBeenCalledTimes(3);
});

it('does not keep what failed', async () => {
  const answers = new RecentAnswers(() => 0);
  const ask = vi.fn<() => Promise<object>>().mockRejectedValueOnce(new Error('not now')).mockResolvedValue({});
  await expect(Promise.all([answers.get('a', 1_000, ask), answers.get('a', 1_000, ask)])).rejects.toThrow('not now');
  expect(await answers.get('a', 1_000, ask)).toEqual({});
  expect(ask).toHaveBeenCalledTimes(2);
});

it('keeps so many answers and no more', async () => {
  const answers = new RecentAnswers(() => 0);
  const ask = vi.fn(async () => ({}));
  for (let index = 0; index < 300; index++) await answers.get(String(index), 1_000, ask);
  await answers.get('299', 1_000, ask);
  expect(ask).toHaveBeenCalledTimes(300);
  await answers.get('0', 1_000, ask);
  expect(ask).toHaveBeenCalledTimes(301);
});

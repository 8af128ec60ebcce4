import { expect, it } from 'vitest';
import { Places } from './places.js';

const never = new AbortController().signal;

it('lets in as many as there are places, the others in order as places are given back', async () => {
  const places = new Places(2);
  const came: string[] = [];
  const enter = (name: string): Promise<() => void> => places.take(never).then((leave) => (came.push(name), leave));
  const first = await enter('a');
  const second = await enter('b');
  const third = enter('c');
  const fourth = enter('d');
  await Promise.resolve();
  expect(came).toEqual(['a', 'b']);
  first();
  first(); // given back once
  (await third)();
  await fourth;
  expect(came).toEqual(['a', 'b', 'c', 'd']);
  second();
});

it('lets go of who no longer wants to wait, and gives the place to the next', async () => {
  const places = new Places(1);
  const leave = await places.take(never);
  const impatient = new AbortController();
  const waits = places.take(impatient.signal);
  const next = places.take(never);
  impatient.abort(new Error('enough'));
  await expect(waits).rejects.toThrow('enough');
  await expect(places.take(impatient.signal)).rejects.toThrow('enough');
  leave();
  (await next)();
  await places.take(never);
});

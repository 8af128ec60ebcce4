import { expect, it } from 'vitest';
import { matchPath } from './router.js';

it('finds the parts of a path', () => {
  expect(matchPath('/', '/')).toEqual({});
  expect(matchPath('/runs/:id', '/runs/mnist-1')).toEqual({ id: 'mnist-1' });
  expect(matchPath('/runs/:id', '/runs/mnist-1/')).toEqual({ id: 'mnist-1' });
  expect(matchPath('/runs/:id', '/runs/a%2Fb')).toEqual({ id: 'a/b' });
});

it.each(['/runs', '/runs/a/b', '/run/a', '/runs/%E0%A4%A'])('knows no %s', (path) => {
  expect(matchPath('/runs/:id', path)).toBeUndefined();
});

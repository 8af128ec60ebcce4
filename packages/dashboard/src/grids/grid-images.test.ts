import { describe, expect, it } from 'vitest';
import { GridImages } from './grid-images.js';

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

/** Pictures that come when the test says so. */
function pictures() {
  const waiting = new Map<string, { come: () => void; fail: () => void }>();
  const asked: string[] = [];
  const images = new GridImages<string>((url) => {
    asked.push(url);
    return new Promise((resolve, reject) => waiting.set(url, { come: () => resolve(`picture ${url}`), fail: () => reject(new Error('gone')) }));
  });
  return { images, asked, waiting };
}

describe('GridImages', () => {
  it('loads the most urgent first, a few at a time, each once', async () => {
    const { images, asked, waiting } = pictures();
    images.want(['a', 'b', 'c', 'd', 'e']);
    expect(asked).toEqual(['a', 'b', 'c']);
    images.want(['e', 'a', 'd']); // the slider has moved
    waiting.get('a')?.come();
    await settle();
    expect(asked).toEqual(['a', 'b', 'c', 'e']);
    waiting.get('b')?.come();
    await settle();
    expect(asked).toEqual(['a', 'b', 'c', 'e', 'd']);
    expect(images.get('a')).toEqual({ state: 'ready', picture: 'picture a' });
    expect(images.get('e')).toEqual({ state: 'loading' });
    expect(images.get('z')).toBeUndefined();
  });

  it('goes on after a failure, and tries again when it is told to', async () => {
    const { images, asked, waiting } = pictures();
    images.want(['a', 'b', 'c', 'd']);
    waiting.get('a')?.fail();
    await settle();
    expect(images.get('a')).toEqual({ state: 'failed' });
    expect(asked).toEqual(['a', 'b', 'c', 'd']);
    images.want(['a', 'd']);
    waiting.get('b')?.come();
    await settle();
    expect(asked.filter((url) => url === 'a')).toHaveLength(1);
    images.retry('a');
    waiting.get('a')?.come();
    await settle();
    expect(images.get('a')).toMatchObject({ state: 'ready' });
  });

  it('forgets pictures that nobody wants when there are many', async () => {
    const images = new GridImages<string>(async (url) => url);
    const many = Array.from({ length: 300 }, (_, index) => `old ${index}`);
    images.want(many);
    await settle();
    expect(images.get('old 299')).toMatchObject({ state: 'ready' });
    images.want(['new']);
    await settle();
    expect(images.get('old 0')).toBeUndefined();
    expect(images.get('old 299')).toEqual({ state: 'ready', picture: 'old 299' });
    expect(images.get('new')).toEqual({ state: 'ready', picture: 'new' });
  });
});

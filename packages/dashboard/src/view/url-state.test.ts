import { beforeEach, describe, expect, it } from 'vitest';
import { choice, flag, hrefOf, list, number, text, UrlState, type UrlHolder } from './url-state.js';

/** A browser's history: entries, a place in it, and timers that run when they are told to. */
class FakeBrowser implements UrlHolder {
  readonly entries: string[];
  at = 0;
  readonly #listeners: (() => void)[] = [];
  #timers: (() => void)[] = [];
  constructor(url: string) {
    this.entries = [url];
  }
  get url(): string {
    return this.entries[this.at] ?? '';
  }
  get location(): { pathname: string; search: string } {
    const { pathname, search } = new URL(this.url, 'http://here');
    return { pathname, search };
  }
  readonly history = {
    pushState: (_data: unknown, _unused: string, url: string): void => {
      this.entries.splice(this.at + 1);
      this.entries.push(url);
      this.at += 1;
    },
    replaceState: (_data: unknown, _unused: string, url: string): void => {
      this.entries[this.at] = url;
    },
  };
  addEventListener(_name: 'popstate', listener: () => void): void {
    this.#listeners.push(listener);
  }
  setTimer(run: () => void): () => void {
    this.#timers.push(run);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== run);
    };
  }
  get waiting(): number {
    return this.#timers.length;
  }
  runTimers(): void {
    for (const timer of this.#timers.splice(0)) timer();
  }
  go(steps: number): void {
    this.at += steps;
    for (const listener of this.#listeners) listener();
  }
}

let browser: FakeBrowser;
const open = (url: string): UrlState => {
  browser = new FakeBrowser(url);
  return new UrlState({
    get location() {
      return browser.location;
    },
    history: browser.history,
    addEventListener: (name, listener) => browser.addEventListener(name, listener),
    setTimer: (run) => browser.setTimer(run),
  });
};

describe('the URL holds the view', () => {
  let state: UrlState;
  beforeEach(() => {
    state = open('/runs/a?smooth=0.5&other=x&runs=b,c,b');
  });

  it('is read into signals', () => {
    expect(state.path.value).toBe('/runs/a');
    expect(state.param('smooth', number(0, { min: 0, max: 0.99 })).value).toBe(0.5);
    expect(state.param('runs', list()).value).toEqual(['b', 'c']);
    expect(state.param('axis', choice(['updates', 'samples'])).value).toBe('updates');
  });

  it('follows a signal that is dragged without filling the history, and keeps what it does not know', () => {
    const smooth = state.param('smooth', number(0, { min: 0, max: 0.99 }));
    for (let step = 0; step <= 9; step++) smooth.value = step / 10;
    expect(browser.waiting).toBe(1);
    browser.runTimers();
    expect(browser.entries).toEqual(['/runs/a?smooth=0.9&other=x&runs=b,c,b']);
  });

  it('leaves out what has its default value', () => {
    const smooth = state.param('smooth', number(0));
    smooth.value = 0;
    browser.runTimers();
    expect(browser.url).toBe('/runs/a?other=x&runs=b,c,b');
  });

  it('makes a step of the history where it is asked for, and back undoes it', () => {
    const tab = state.param('tab', choice(['overview', 'events'], 'push'));
    tab.value = 'events';
    browser.runTimers();
    expect(browser.entries).toHaveLength(2);
    browser.go(-1);
    expect(tab.value).toBe('overview');
    browser.go(1);
    expect(tab.value).toBe('events');
    expect(browser.waiting).toBe(0);
  });

  it('sets the parameters of the place that is gone to, those that it does not name to their defaults', () => {
    const runs = state.param('runs', list());
    const smooth = state.param('smooth', number(0));
    smooth.value = 0.7;
    state.navigate('/runs/d', { runs: 'e' });
    expect([state.path.value, runs.value, smooth.value]).toEqual(['/runs/d', ['e'], 0]);
    expect(browser.entries).toEqual(['/runs/a?smooth=0.7&other=x&runs=b,c', '/runs/d?runs=e']);
    browser.go(-1);
    expect(smooth.value).toBe(0.7);
  });

  it('does not call an equal list a change', () => {
    const runs = state.param('runs', list());
    const before = runs.value;
    let changes = -1; // the first call is no change
    runs.subscribe(() => (changes += 1));
    state.navigate('/runs/a', { runs: 'b,c' });
    expect(runs.value).toBe(before);
    expect(changes).toBe(0);
  });

  it('gives a name one meaning', () => {
    state.param('from', number(undefined));
    expect(() => state.param('from', text())).toThrow('"from" has a meaning already');
  });
});

describe('values in the URL', () => {
  it.each(['', ' ', 'x', 'NaN', 'Infinity', '1e999', '-1', '1.5', '10001'])('takes the default for %j', (value) => {
    const state = open(`/?n=${encodeURIComponent(value)}`);
    expect(state.param('n', number(7, { min: 0, max: 10_000, isWhole: true })).value).toBe(7);
  });

  it('knows only its choices and flags', () => {
    const state = open('/?axis=constructor&log=yes&q=%3Cscript%3E');
    expect(state.param('axis', choice(['updates', 'samples'])).value).toBe('updates');
    expect(state.param('log', flag()).value).toBe(false);
    expect(state.param('q', text()).value).toBe('<script>');
  });

  it('bounds a list', () => {
    expect(open(`/?runs=${Array.from({ length: 100 }, (_, index) => `r${index}`).join(',')}`).param('runs', list(5)).value).toEqual(['r0', 'r1', 'r2', 'r3', 'r4']);
  });

  it('writes addresses that are read as they were', () => {
    expect(hrefOf('/diff', { a: 'x&y=1', b: undefined, c: '' })).toBe('/diff?a=x%26y%3D1');
    expect(open(hrefOf('/', { q: 'a b&c=d#e,f' })).param('q', text()).value).toBe('a b&c=d#e,f');
  });
});

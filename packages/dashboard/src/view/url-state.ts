import { signal, type ReadonlySignal, type Signal } from '@preact/signals';

/** What of the browser's window holds the URL. */
export interface UrlHolder {
  /** path and query, without the fragment */
  readonly location: { readonly pathname: string; readonly search: string };
  readonly history: { pushState(data: unknown, unused: string, url: string): void; replaceState(data: unknown, unused: string, url: string): void };
  readonly addEventListener: (name: 'popstate', listener: () => void) => void;
  readonly setTimer: (run: () => void, delayMs: number) => () => void;
}

/** How the value of a search parameter is read and written. */
export interface ParamKind<T> {
  /** undefined for what is not a value: the default is taken */
  readonly parse: (text: string) => T | undefined;
  readonly format: (value: T) => string;
  /** is left out of the URL */
  readonly default: T;
  /** whether a change is a step of the browser's history; dragging is not */
  readonly history?: 'replace' | 'push';
}

export type ParamValues = Readonly<Record<string, string | number | undefined>>;

/** Browsers refuse more than about 100 changes of the URL in 30 s. */
const WRITE_MS = 350;

interface Bound {
  readonly read: (search: URLSearchParams) => void;
  readonly write: (search: URLSearchParams) => void;
}

/**
 * The URL as signals: the path, and one signal for each search parameter. The parameters that nobody bound stay as they are.
 * Writing a bound signal changes the URL a little later (all changes of a moment at once); going somewhere sets all of them.
 */
export class UrlState {
  readonly #holder: UrlHolder;
  readonly #path: Signal<string>;
  readonly #bound = new Map<string, Bound>();
  #cancelTimer: (() => void) | undefined;
  #isPush = false;
  #isReading = false;

  constructor(holder: UrlHolder) {
    this.#holder = holder;
    this.#path = signal(holder.location.pathname);
    holder.addEventListener('popstate', () => this.#readAll());
  }

  get path(): ReadonlySignal<string> {
    return this.#path;
  }

  /** The signal of a search parameter, for the one place that knows what it means: another meaning of the same name would be read as this one. */
  param<T>(name: string, kind: ParamKind<T>): Signal<T> {
    if (this.#bound.has(name)) throw new Error(`the search parameter "${name}" has a meaning already`);
    const read = (search: URLSearchParams): T => {
      const text = search.get(name);
      return text === null ? kind.default : (kind.parse(text) ?? kind.default);
    };
    const value = signal(read(this.#search()));
    let told = kind.format(value.peek());
    this.#bound.set(name, {
      read: (search) => {
        const next = read(search);
        const text = kind.format(next);
        if (text === told) return; // an equal list is the same list
        told = text;
        value.value = next;
      },
      write: (search) => {
        const text = kind.format(value.peek());
        if (text === kind.format(kind.default)) search.delete(name);
        else search.set(name, text);
      },
    });
    value.subscribe((next) => {
      const text = kind.format(next);
      if (text === told) return;
      told = text;
      if (!this.#isReading) this.#writeLater(kind.history === 'push');
    });
    return value;
  }

  /** Goes to another place; parameters that are not named there take their defaults. */
  navigate(path: string, params: ParamValues = {}, { replace = false }: { readonly replace?: boolean } = {}): void {
    this.flush();
    const url = hrefOf(path, params);
    if (replace) this.#holder.history.replaceState(null, '', url);
    else this.#holder.history.pushState(null, '', url);
    this.#readAll();
  }

  /** Writes what waits into the URL now. */
  flush(): void {
    if (!this.#cancelTimer) return;
    this.#cancelTimer();
    this.#cancelTimer = undefined;
    const search = this.#search();
    for (const { write } of this.#bound.values()) write(search);
    const url = `${this.#holder.location.pathname}${searchText(search)}`;
    if (this.#isPush) this.#holder.history.pushState(null, '', url);
    else this.#holder.history.replaceState(null, '', url);
    this.#isPush = false;
  }

  #writeLater(isPush: boolean): void {
    this.#isPush ||= isPush;
    this.#cancelTimer ??= this.#holder.setTimer(() => this.flush(), isPush ? 0 : WRITE_MS);
  }

  #readAll(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#isPush = false;
    const search = this.#search();
    this.#isReading = true;
    try {
      for (const { read } of this.#bound.values()) read(search);
    } finally {
      this.#isReading = false;
    }
    this.#path.value = this.#holder.location.pathname;
  }

  #search(): URLSearchParams {
    return new URLSearchParams(this.#holder.location.search);
  }
}

/** Path and query; what is undefined or empty is left out. */
export function hrefOf(path: string, params: ParamValues = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== undefined && value !== '') search.set(name, String(value));
  return `${path}${searchText(search)}`;
}

/** Commas and colons stay readable: they have no meaning in a query. */
function searchText(search: URLSearchParams): string {
  const text = search.toString().replaceAll('%2C', ',').replaceAll('%3A', ':');
  return text === '' ? '' : `?${text}`;
}

/** Kinds of parameters that several views have. */
export const text = (fallback = ''): ParamKind<string> => ({ parse: (value) => value, format: (value) => value, default: fallback });
export const flag = (fallback = false): ParamKind<boolean> => ({ parse: (value) => (value === '1' ? true : value === '0' ? false : undefined), format: (value) => (value ? '1' : '0'), default: fallback });
export const number = <D extends number | undefined>(fallback: D, { min = -Infinity, max = Infinity, isWhole = false } = {}): ParamKind<number | D> => ({
  parse: (value) => {
    const read = value.trim() === '' ? NaN : Number(value);
    return Number.isFinite(read) && read >= min && read <= max && (!isWhole || Number.isInteger(read)) ? read : undefined;
  },
  format: (value) => (value === undefined ? '' : String(value)),
  default: fallback,
});
export const choice = <T extends string>(choices: readonly [T, ...T[]], history: 'replace' | 'push' = 'replace'): ParamKind<T> => ({
  parse: (value) => choices.find((one) => one === value),
  format: (value) => value,
  default: choices[0],
  history,
});
/** `a,b,c`, each once. */
export const list = (longest = 16): ParamKind<readonly string[]> => ({
  parse: (value) => [...new Set(value.split(',').filter((one) => one !== ''))].slice(0, longest),
  format: (value) => value.join(','),
  default: [],
});

import { signal, type Signal } from '@preact/signals';

/** Requests on their way at the same time: a browser has six connections to a server, and streams of events take some. */
const PARALLEL = 3;
/** Pictures that are kept when nobody wants them at the moment. */
const KEPT = 240;

type Entry<Picture> = { readonly state: 'loading' } | { readonly state: 'ready'; readonly picture: Picture } | { readonly state: 'failed' };

/** Pictures by address, loaded in the order in which they are wanted, and kept so that a slider runs through them without a gap. */
export class GridImages<Picture> {
  readonly #load: (url: string) => Promise<Picture>;
  readonly #entries = new Map<string, Signal<Entry<Picture> | undefined>>();
  #wanted: readonly string[] = [];
  #loading = 0;

  constructor(load: (url: string) => Promise<Picture>) {
    this.#load = load;
  }

  /** The picture as far as it is there; components that ask are drawn again when it comes. */
  get(url: string): Entry<Picture> | undefined {
    return this.#entry(url).value;
  }

  /** What is wanted from now on, the most urgent first. Replaces earlier wishes that are not on their way yet. */
  want(urls: readonly string[]): void {
    this.#wanted = urls;
    this.#forget();
    this.#next();
  }

  /** Tries again what failed. */
  retry(url: string): void {
    const entry = this.#entry(url);
    if (entry.peek()?.state !== 'failed') return;
    entry.value = undefined;
    if (!this.#wanted.includes(url)) this.#wanted = [url, ...this.#wanted];
    this.#next();
  }

  #entry(url: string): Signal<Entry<Picture> | undefined> {
    const entry = this.#entries.get(url) ?? signal<Entry<Picture> | undefined>(undefined);
    this.#entries.set(url, entry);
    return entry;
  }

  #next(): void {
    while (this.#loading < PARALLEL) {
      const url = this.#wanted.find((candidate) => this.#entry(candidate).peek() === undefined);
      if (url === undefined) return;
      const entry = this.#entry(url);
      entry.value = { state: 'loading' };
      this.#loading += 1;
      this.#load(url)
        .then(
          (picture) => (entry.value = { state: 'ready', picture }),
          () => (entry.value = { state: 'failed' }),
        )
        .finally(() => {
          this.#loading -= 1;
          this.#next();
        });
    }
  }

  #forget(): void {
    if (this.#entries.size <= KEPT) return;
    const wanted = new Set(this.#wanted);
    for (const [url, entry] of this.#entries) {
      if (this.#entries.size <= KEPT) return;
      if (!wanted.has(url) && entry.peek()?.state === 'ready') this.#entries.delete(url);
    }
  }
}

/** The grids of the page, decoded before they count as there. */
export const gridImages = new GridImages<HTMLImageElement>(async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
});

import { effect } from '@preact/signals';
import { theme } from '../view/theme.js';
import { cursor } from './cursor.js';
import { cancelDraw, requestDraw } from './draw-queue.js';
import { Plot, type PlotEvents, type PlotView } from './plot.js';

export interface StageEvents extends PlotEvents {
  /** Pinched, or turned the wheel with the control key: below 1 is nearer. */
  readonly onPinch: (factor: number, x: number) => void;
  readonly onScreen?: (isOnScreen: boolean) => void;
  readonly onWidth?: (pixels: number) => void;
}

/**
 * Where a plot lives on the page: made when it is first seen, drawn again when its view, its size, the theme or the screen's
 * resolution changes, and only while it is on screen. All drawing happens in animation frames.
 */
export class ChartStage {
  readonly #host: HTMLElement;
  readonly #events: StageEvents;
  readonly #stops: (() => void)[] = [];
  #view: PlotView | undefined;
  #plot: Plot | undefined;
  #isOnScreen = false;
  #isStale = false;

  constructor(host: HTMLElement, events: StageEvents) {
    this.#host = host;
    this.#events = events;
    const sizes = new ResizeObserver(() => {
      events.onWidth?.(host.clientWidth);
      requestDraw(this.#fit);
    });
    sizes.observe(host);
    const sight = new IntersectionObserver(
      (entries) => {
        this.#isOnScreen = entries.at(-1)?.isIntersecting ?? false;
        events.onScreen?.(this.#isOnScreen);
        if (this.#isOnScreen && this.#isStale) requestDraw(this.#draw);
      },
      { rootMargin: '150px' },
    );
    sight.observe(host);
    const control = new AbortController();
    host.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false, signal: control.signal });
    for (const name of ['pointerdown', 'pointermove'] as const) host.addEventListener(name, (event) => this.#onTouch(event), { signal: control.signal });
    this.#stops.push(
      () => sizes.disconnect(),
      () => sight.disconnect(),
      () => control.abort(),
      effect(() => {
        void theme.value;
        this.#invalidate();
      }),
      effect(() => {
        void cursor.value;
        if (this.#isOnScreen) requestDraw(this.#point);
      }),
    );
  }

  /** False while it is scrolled away. */
  get isOnScreen(): boolean {
    return this.#isOnScreen;
  }

  /** Once it was drawn. */
  get plot(): Plot | undefined {
    return this.#plot;
  }

  show(view: PlotView): void {
    this.#view = view;
    this.#invalidate();
  }

  destroy(): void {
    for (const stop of this.#stops) stop();
    for (const draw of [this.#draw, this.#fit, this.#point]) cancelDraw(draw);
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  #invalidate(): void {
    this.#isStale = true;
    if (this.#isOnScreen) requestDraw(this.#draw);
  }

  readonly #draw = (): void => {
    const { clientWidth: width, clientHeight: height } = this.#host;
    if (!this.#isStale || !this.#isOnScreen || !this.#view || width < 40 || height < 40) return;
    this.#isStale = false;
    if (this.#plot) {
      this.#plot.draw(this.#view);
      this.#plot.resize(width, height);
    } else this.#plot = new Plot(this.#host, { width, height }, this.#view, this.#events);
    this.#point();
  };

  readonly #fit = (): void => {
    if (this.#plot) this.#plot.resize(this.#host.clientWidth, this.#host.clientHeight);
    else this.#draw();
  };

  readonly #point = (): void => {
    const at = cursor.peek();
    this.#plot?.point(at?.axis === this.#view?.axis ? at?.x : undefined);
  };

  #onWheel(event: WheelEvent): void {
    if (!event.ctrlKey || !this.#plot) return; // a plain wheel scrolls the page
    event.preventDefault();
    this.#events.onPinch(Math.exp(Math.min(50, Math.max(-50, event.deltaY)) * 0.01), this.#plot.xAt(event.clientX));
  }

  /** A finger that moves sideways moves the cursor; up and down it scrolls the page (touch-action). */
  #onTouch(event: PointerEvent): void {
    if (event.pointerType === 'mouse' || !this.#plot) return;
    const { min, max } = this.#plot.x;
    this.#events.onCursor(Math.min(max, Math.max(min, this.#plot.xAt(event.clientX))));
  }
}

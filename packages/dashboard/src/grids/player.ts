import { computed, signal, type ReadonlySignal } from '@preact/signals';

/** Steps a second that can be chosen. */
export const speeds = [1, 2, 4, 8] as const;
export type Speed = (typeof speeds)[number];

export interface PlayerSurroundings {
  readonly setTimer: (run: () => void, delayMs: number) => () => void;
  /** whether the person wants little motion */
  readonly isMotionReduced: () => boolean;
}

/** The slider's steps as the player sees them. */
export interface PlayedSteps {
  readonly count: () => number;
  readonly current: () => number;
  readonly show: (index: number) => void;
}

/**
 * Moves through the steps at a speed, up to the last one and not round again; started at the last, it begins with the first. With
 * reduced motion it makes at most one step a second.
 */
export class Player {
  readonly #surroundings: PlayerSurroundings;
  readonly #steps: PlayedSteps;
  readonly #playing = signal(false);
  #stopTimer: (() => void) | undefined;
  readonly speed = signal<Speed>(2);
  readonly isPlaying: ReadonlySignal<boolean> = computed(() => this.#playing.value);

  constructor(steps: PlayedSteps, surroundings: PlayerSurroundings = browser) {
    this.#steps = steps;
    this.#surroundings = surroundings;
  }

  toggle(): void {
    if (this.#playing.peek()) this.pause();
    else this.play();
  }

  play(): void {
    if (this.#playing.peek() || this.#steps.count() < 2) return;
    if (this.#steps.current() >= this.#steps.count() - 1) this.#steps.show(0);
    this.#playing.value = true;
    this.#wait();
  }

  pause(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#playing.value = false;
  }

  #wait(): void {
    const fastest = this.#surroundings.isMotionReduced() ? 1 : this.speed.peek();
    this.#stopTimer = this.#surroundings.setTimer(() => {
      const next = this.#steps.current() + 1;
      if (next < this.#steps.count()) this.#steps.show(next);
      if (next < this.#steps.count() - 1) this.#wait();
      else this.pause();
    }, 1000 / fastest);
  }
}

const browser: PlayerSurroundings = {
  setTimer: (run, delayMs) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  isMotionReduced: () => window.matchMedia('(prefers-reduced-motion: reduce)').matches,
};

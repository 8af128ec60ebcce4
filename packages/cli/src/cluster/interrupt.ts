/** The process manager or a person asked to end. */
export interface Interrupt {
  /** aborted by the first signal */
  readonly signal: AbortSignal;
  /** stops listening: later signals have their default effect */
  readonly dispose: () => void;
}

/** A terminal's Ctrl-C can reach a process twice (from the terminal and through npm): signals this close count once. */
const SAME_SIGNAL_MS = 500;

/**
 * Turns SIGINT and SIGTERM into an abort; the second one calls `force`.
 * @param source `process`, or a stand-in
 */
export function listenForInterrupt(force: () => void, source: Pick<NodeJS.Process, 'on' | 'off'> = process, now: () => number = () => performance.now()): Interrupt {
  const controller = new AbortController();
  let first: number | undefined;
  const listener = (): void => {
    if (first === undefined) {
      first = now();
      controller.abort();
    } else if (now() - first >= SAME_SIGNAL_MS) force();
  };
  source.on('SIGINT', listener);
  source.on('SIGTERM', listener);
  return {
    signal: controller.signal,
    dispose: () => {
      source.off('SIGINT', listener);
      source.off('SIGTERM', listener);
    },
  };
}

/** How long a process whose supervisor has gone may finish what it does. */
const ORPHAN_GRACE_MS = 3_000;

/**
 * A supervised process leaves when its supervisor does, however that ended; signals of the terminal are the supervisor's
 * affair, which may still want work from it.
 */
export function supervisorGone(): Interrupt {
  const controller = new AbortController();
  const ignore = (): void => undefined;
  const leave = (): void => {
    controller.abort();
    setTimeout(() => process.exit(0), ORPHAN_GRACE_MS).unref();
  };
  process.on('SIGINT', ignore);
  process.once('disconnect', leave);
  if (!process.connected) leave();
  return { signal: controller.signal, dispose: () => process.off('SIGINT', ignore) };
}

import { signal, type ReadonlySignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

let aheadMs = 0;
const now = signal(Date.now());
let users = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** Takes the coordinator's time: "12 s ago" must not depend on this machine's clock. Only a difference that is seen counts. */
export function setServerTime(at: string): void {
  const difference = Date.parse(at) - Date.now();
  aheadMs = Number.isFinite(difference) && Math.abs(difference) > 2_000 ? difference : 0;
}

/** The coordinator's time as far as it is known, Unix time in milliseconds. */
export function serverNow(): number {
  return Date.now() + aheadMs;
}

/** The coordinator's time, anew every second while something shows it. */
export function useClock(): ReadonlySignal<number> {
  useEffect(() => {
    users += 1;
    now.value = serverNow();
    timer ??= setInterval(() => {
      if (document.visibilityState === 'visible') now.value = serverNow();
    }, 1000);
    return () => {
      users -= 1;
      if (users > 0) return;
      clearInterval(timer);
      timer = undefined;
    };
  }, []);
  return now;
}

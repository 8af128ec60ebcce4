import { signal, type ReadonlySignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ApiError, listWorkers, type Worker } from '../api/client.js';

const list = signal<readonly Worker[] | undefined>(undefined);
const problem = signal<ApiError | undefined>(undefined);

/** The connected workers as last told; undefined until then. */
export const workers: ReadonlySignal<readonly Worker[] | undefined> = list;
export const workersProblem: ReadonlySignal<ApiError | undefined> = problem;

const intervals = new Set<{ readonly ms: number }>();
let timer: ReturnType<typeof setTimeout> | undefined;
let isAsking = false;

/** Keeps the list fresh while the caller is shown and the page is seen; the most eager caller decides how often. */
export function useWorkers(ms: number): void {
  useEffect(() => {
    const mine = { ms };
    intervals.add(mine);
    void ask();
    const look = (): void => void (document.visibilityState === 'visible' && ask());
    document.addEventListener('visibilitychange', look);
    return () => {
      intervals.delete(mine);
      document.removeEventListener('visibilitychange', look);
      if (intervals.size === 0) clearTimeout(timer);
    };
  }, [ms]);
}

/** Asks now, and again later. */
export async function ask(): Promise<void> {
  if (isAsking) return;
  isAsking = true;
  clearTimeout(timer);
  try {
    if (document.visibilityState === 'visible') list.value = await listWorkers();
    problem.value = undefined;
  } catch (thrown) {
    problem.value = ApiError.from(thrown);
  } finally {
    isAsking = false;
  }
  if (intervals.size > 0) timer = setTimeout(() => void ask(), Math.min(...[...intervals].map(({ ms }) => ms)));
}

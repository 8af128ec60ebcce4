import { getPriority, setPriority } from 'node:os';

const LOW = 10;

/**
 * Lets others have the processor before this thread: updates come first where cores are few. Only Linux has a priority for each
 * thread; elsewhere it would be the process's. A process that was started with a lower one keeps it: it may not raise it.
 */
export function lowerPriority(): void {
  if (process.platform === 'linux' && getPriority() < LOW) setPriority(LOW);
}

import { setTimeout as delay } from 'node:timers/promises';
import type { Finding } from './finding.js';

/** Before this version of dd2: such a clock is not set. */
const EARLIEST = Date.UTC(2026, 0, 1);
const LATEST = Date.UTC(2100, 0, 1);
const LOOK_MS = 200;
/** More than a busy machine is late with a timer: the clock was set, or the machine stood still. */
const MOST_DRIFT_MS = 100;
const MOST_DIFFERENCE_MS = 2_000;

export interface Clocks {
  /** milliseconds since 1970 */
  readonly wall: () => number;
  /** milliseconds since some moment; never goes back */
  readonly monotonic: () => number;
  readonly wait: (ms: number) => Promise<unknown>;
}

const clocks: Clocks = { wall: () => Date.now(), monotonic: () => performance.now(), wait: delay };

/** Whether the clock of this machine is set, and goes as fast as time does. */
export async function checkClock({ wall, monotonic, wait }: Clocks = clocks): Promise<Finding> {
  const check = 'clock';
  const [wallStart, start] = [wall(), monotonic()];
  if (wallStart < EARLIEST || wallStart > LATEST) {
    return { check, status: 'problem', message: `the clock says ${new Date(wallStart).toISOString().slice(0, 10)}`, remedy: 'Set the clock (timedatectl set-ntp true): certificates are not valid before or after their time' };
  }
  await wait(LOOK_MS);
  const drift = wall() - wallStart - (monotonic() - start);
  const details = { driftMs: Math.round(drift) };
  if (Math.abs(drift) > MOST_DRIFT_MS) {
    return { check, status: 'warning', message: `the clock was moved by ${Math.round(drift)} ms within ${LOOK_MS} ms`, remedy: 'Is something setting the clock in steps? Let NTP adjust it (timedatectl status)', details };
  }
  return { check, status: 'ok', message: `${new Date(wallStart).toISOString().slice(0, 19)}Z, and steady`, details };
}

/** How far this clock is from the coordinator's, which was read between two looks at this one. */
export function compareClocks(before: number, coordinator: number, after: number): Finding {
  const check = 'clocks';
  const difference = coordinator - (before + after) / 2;
  // The answer was under way for as long as that at most.
  const certain = Math.max(0, Math.abs(difference) - (after - before) / 2);
  const details = { differenceMs: Math.round(difference) };
  const message = `this clock and the coordinator's are ${Math.round(Math.abs(difference))} ms apart`;
  if (certain > MOST_DIFFERENCE_MS) return { check, status: 'warning', message, remedy: 'Set both by NTP: times in logs and certificates are compared by people and by TLS (runs are not harmed)', details };
  return { check, status: 'ok', message, details };
}

import { closeSync, openSync, writeFileSync } from 'node:fs';

/**
 * Ends this process whatever its threads compute: an exit would wait for them, and a call into a library that computes cannot be
 * interrupted.
 */
export function endAtOnce(): never {
  process.kill(process.pid, 'SIGKILL');
  // Only the first process of a container comes here: the kernel lets no signal of its own container end it. An abort does, since it
  // ends in an instruction that is none.
  withoutTrace();
  process.abort();
}

/** Neither a dump of memory nor a stack among the lines of the log: nothing is wrong with the program. */
function withoutTrace(): void {
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {
    // There is none, or it must not be written: then the system's settings decide.
  }
  closeSync(2);
  openSync('/dev/null', 'w'); // takes the place of what was closed
}

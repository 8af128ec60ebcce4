import type { EventEmitter } from 'node:events';

/**
 * A reader that closes the pipe (`dd2 run list | head -1`) has had enough: the command ends without a word. One that advances
 * runs is asked to stop in order instead, as by Ctrl-C.
 * @param leave ends the process
 */
export function endWithReader(stream: Pick<EventEmitter, 'on'>, leave: () => void): void {
  let closed = false;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (closed) return;
    closed = true;
    leave();
  });
}

/** What `endWithReader` does to this process. */
export function leaveQuietly(): void {
  if (process.listenerCount('SIGINT') > 0) process.kill(process.pid, 'SIGINT');
  else process.exit();
}

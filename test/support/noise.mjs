// Imported by a process that a test starts: with SIGUSR2, what libraries print by accident; in a thread, a warning.
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  process.on('SIGUSR2', () => {
    console.log('a line of a library');
    console.error('a complaint of a library');
    process.emitWarning('this will go', 'DeprecationWarning');
  });
} else process.emitWarning('a warning of a thread');

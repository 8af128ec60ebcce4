import type { Logger } from 'pino';

/** Longer ones are cut: what is printed by accident is no place for bulk. */
const MAX_LINE = 16_384;

type Print = (line: string) => void;

/**
 * From now on this process prints nothing but the lines of its log: what anything writes to stdout or stderr, warnings of Node and
 * faults become lines as well. (The log itself goes past the streams.)
 */
export function printJsonLines(logger: Logger): void {
  divert(process.stdout, (line) => logger.info(line));
  divert(process.stderr, (line) => logger.warn(line));
  process.removeAllListeners('warning');
  // Threads and child processes write theirs past the streams of this process.
  process.env['NODE_NO_WARNINGS'] = '1';
  process.on('warning', ({ name, message }) => logger.warn({ warning: name }, message));
  process.on('uncaughtException', (thrown: unknown) => {
    // The properties of an error may hold what must not be shown, such as the arguments of a refused log-in.
    if (thrown instanceof Error) logger.fatal({ fault: thrown.name, stack: thrown.stack }, thrown.message);
    else logger.fatal({ fault: typeof thrown }, String(thrown));
    process.exit(1);
  });
}

/** Hands every line that is written to a stream to `print` instead. */
function divert(stream: NodeJS.WriteStream, print: Print): void {
  let begun = '';
  const write = (chunk: string | Uint8Array, encoding?: BufferEncoding | ((error?: Error | null) => void), done?: (error?: Error | null) => void): boolean => {
    const lines = (begun + (typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString())).split('\n');
    begun = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) if (line.trim() !== '') print(line.slice(0, MAX_LINE));
    const callback = typeof encoding === 'function' ? encoding : done;
    if (callback) process.nextTick(callback);
    return true;
  };
  stream.write = write;
  process.on('exit', () => begun.trim() !== '' && print(begun));
}

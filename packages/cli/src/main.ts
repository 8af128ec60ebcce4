import type { Logger } from 'pino';
import { endWithReader, leaveQuietly } from './closed-pipe.js';
import { endWithSignals } from './first-process.js';
import { isService, logFormat } from './log-format.js';
import { commandPath, runCommandLine, wantsJson } from './program.js';
import { reportError } from './report-error.js';

const words = process.argv.slice(2);
const verbose = words.includes('--verbose');
let logger: Logger | undefined;

endWithReader(process.stdout, leaveQuietly);
endWithSignals();
try {
  const path = commandPath(words);
  const asksForHelp = words.some((word) => ['--help', '-h', '--version', '-V'].includes(word));
  if (isService(path) && !asksForHelp && logFormat() === 'json') {
    const [{ serviceLogger }, { printJsonLines }] = await Promise.all([import('./process-logger.js'), import('./json-lines.js')]);
    logger = serviceLogger(path.at(-1) ?? '', verbose, 'json');
    printJsonLines(logger);
  }
  await runCommandLine();
} catch (thrown) {
  process.exitCode = reportError(thrown, { verbose, json: wantsJson(words), logger });
}

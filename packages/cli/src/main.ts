import { endWithReader, leaveQuietly } from './closed-pipe.js';
import { runCommandLine, wantsJson } from './program.js';
import { reportError } from './report-error.js';

endWithReader(process.stdout, leaveQuietly);
try {
  await runCommandLine();
} catch (thrown) {
  const { argv } = process;
  process.exitCode = reportError(thrown, { verbose: argv.includes('--verbose'), json: wantsJson(argv.slice(2)) });
}

import { runCommandLine } from './program.js';
import { reportError } from './report-error.js';

try {
  await runCommandLine();
} catch (thrown) {
  process.exitCode = reportError(thrown, process.argv.includes('--verbose'));
}

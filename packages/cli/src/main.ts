import { createProgram } from './program.js';
import { reportError } from './report-error.js';

try {
  await createProgram().parseAsync();
} catch (thrown) {
  process.exitCode = reportError(thrown, process.argv.includes('--verbose'));
}

/** Reads vitest's JSON report. As a program: `node scripts/test-report.mjs REPORT` prints `N passed, N failed, N skipped`. */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** Zeros when there is no report: the tests did not run. */
export function readCounts(file) {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'));
    // A file that does not load has no tests that could fail: it counts as one.
    const broken = report.testResults.filter(({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed')).length;
    return {
      passed: report.numPassedTests,
      failed: report.numFailedTests + broken,
      skipped: report.numPendingTests + report.numTodoTests,
    };
  } catch (error) {
    if (error.code === 'ENOENT') return { passed: 0, failed: 0, skipped: 0 };
    throw error;
  }
}

/** Why these counts are a failure, or undefined. `complete`: nothing may be skipped. */
export function judge({ passed, failed, skipped }, complete) {
  if (failed > 0) return `${failed} tests failed`;
  if (passed === 0) return 'no test ran';
  if (complete && skipped > 0) return `${skipped} tests were skipped, and with CI=true every test must run`;
  return undefined;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { passed, failed, skipped } = readCounts(process.argv[2]);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
}

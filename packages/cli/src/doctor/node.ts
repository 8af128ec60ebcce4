import type { Finding } from './finding.js';

/** What the packages ask for. */
const [LEAST_MAJOR, LEAST_MINOR] = [20, 19];

/** Whether Node.js is new enough. */
export function checkNode(version = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const enough = major > LEAST_MAJOR || (major === LEAST_MAJOR && minor >= LEAST_MINOR);
  const details = { version };
  if (enough) return { check: 'node', status: 'ok', message: `Node.js ${version}`, details };
  return { check: 'node', status: 'problem', message: `Node.js ${version} is too old`, remedy: `Install Node.js ${LEAST_MAJOR}.${LEAST_MINOR} or newer`, details };
}

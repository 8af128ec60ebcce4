import { afterEach, beforeEach } from 'vitest';
import { startDd2, temporaryFolder, type Dd2Process } from './processes.js';

/** For each test of a file, a folder of its own and the `dd2` processes that it starts; both are gone when the test has ended. */
export function startedProcesses(common: NodeJS.ProcessEnv = {}): {
  readonly folder: () => string;
  readonly start: (args: readonly string[], environment?: NodeJS.ProcessEnv) => Dd2Process;
} {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  const started: Dd2Process[] = [];
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(async () => {
    for (const { child } of started) child.kill('SIGKILL');
    for (const { exit } of started.splice(0)) await exit;
    await folder.dispose();
  });
  return {
    folder: () => folder.path,
    start: (args, environment = {}) => {
      const process = startDd2(args, { ...common, ...environment });
      started.push(process);
      return process;
    },
  };
}

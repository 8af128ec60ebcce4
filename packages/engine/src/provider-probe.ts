/** Child process: tries the provider of the options given as its argument; prints why and exits with 1 if it fails. */
import type { EngineOptions } from './engine-task.js';

try {
  // Loaded here, so that a binding that does not load is a reason too.
  const { tryProvider } = await import('./session.js');
  await tryProvider(JSON.parse(process.argv[2] ?? '') as EngineOptions);
} catch (error) {
  process.stdout.write(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

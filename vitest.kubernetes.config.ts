import { defineConfig } from 'vitest/config';

/** Tests with a real cluster, that of the current kubeconfig: `npm run test:kubernetes`. They take minutes. */
export default defineConfig({
  test: {
    include: ['test/kubernetes/**/*.kubernetes.ts'],
    testTimeout: 900_000,
    hookTimeout: 300_000,
    // each test goes on where the one before it ended
    bail: 1,
    pool: 'forks',
    disableConsoleIntercept: true,
    reporters: ['verbose'],
  },
});

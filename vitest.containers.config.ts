import { defineConfig } from 'vitest/config';

/** Tests with containers: `npm run test:containers`. They need podman, root, and minutes. */
export default defineConfig({
  test: {
    include: ['test/containers/**/*.containers.ts'],
    testTimeout: 600_000,
    hookTimeout: 1_200_000,
    // each test goes on where the one before it ended
    bail: 1,
    fileParallelism: false,
    pool: 'forks',
    disableConsoleIntercept: true,
    reporters: ['verbose'],
  },
});

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 60_000,
    pool: 'forks',
    // Tests that call onnxruntime without the engine, see packages/engine/src/telemetry.ts.
    env: { ORT_DISABLE_TELEMETRY: '1' },
  },
});

import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { EngineOptions } from './engine-task.js';

/** The model of one node, y = x + x on float32 [2], in ONNX protobuf. */
const TINY_MODEL = Buffer.from(
  '08083a390a0e0a01780a01781201792203416464120570726f62655a0f0a0178120a0a08080112040a020802620f0a0179120a0a08080112040a02080242021011',
  'hex',
);

export function createSession(model: Uint8Array, options: EngineOptions): Promise<InferenceSession> {
  return InferenceSession.create(model, {
    executionProviders: [options.provider === 'cuda' ? { name: 'cuda', deviceId: options.deviceId ?? 0 } : options.provider],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: options.intraOpThreads,
    interOpNumThreads: 1,
    // What goes wrong is thrown; only the fatal is also printed.
    logSeverityLevel: 4,
    // Waiting threads would take the cores from other sessions, from the coordinator, and from a second worker.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
}

/** Creates and runs the tiny model; throws whatever the runtime throws when the provider does not work. */
export async function tryProvider(options: EngineOptions): Promise<void> {
  const session = await createSession(TINY_MODEL, options);
  const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 2), [2]) });
  await session.release();
  if (y?.data[0] !== 2 || y.data[1] !== 4) throw new Error('1 + 1 and 2 + 2 were computed wrongly');
}

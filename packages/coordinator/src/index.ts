export { Coordinator, type CoordinatorOptions } from './coordinator.js';
export { ModelBundle, modelConfig } from './model-bundle.js';
export { loadCheckpoint, listCheckpoints, type CheckpointManifest } from './checkpoint.js';
export { parseSampler, samplerName, type EvaluationRecord } from './evaluate.js';
export { RunFolder } from './run-folder.js';
export type { UpdateMetrics, UpdateTiming } from './run-state.js';

export { Coordinator, type CoordinatorOptions, type HttpOptions } from './coordinator.js';
export type { AccessOptions } from './access.js';
export { ModelBundle, modelConfig } from './model-bundle.js';
export { loadCheckpoint, listCheckpoints } from './checkpoint.js';
export { RunFolder } from './run-folder.js';
export { requireFitting } from './submission.js';
export { provenanceKey, requireComparable } from './comparable.js';

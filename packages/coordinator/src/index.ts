export { Coordinator, type CoordinatorOptions } from './coordinator.js';
export { ModelBundle, modelConfig } from './model-bundle.js';
export { loadCheckpoint, listCheckpoints } from './checkpoint.js';
export { RunFolder } from './run-folder.js';

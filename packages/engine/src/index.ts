export { Engine } from './engine.js';
export type { EngineOptions, EngineResult, EngineTask, ProviderName } from './engine-task.js';
export { Kernels, type AdamWOptions } from './kernels.js';
export { probeProvider } from './provider.js';
export type { Block } from './arena.js';

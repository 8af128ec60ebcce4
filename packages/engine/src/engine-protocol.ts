import type { HostTensor, Program } from '@dd2/core';
import type { EngineResult, EngineTask } from './engine-task.js';
import type { ErrorRecord } from './error-record.js';

/** Calls that are answered. */
export type EngineRequest =
  | { readonly kind: 'probe' }
  | { readonly kind: 'load'; readonly program: string; readonly definition: Program }
  | { readonly kind: 'unload'; readonly program: string }
  | { readonly kind: 'readParameters'; readonly key: string; readonly size: number; readonly path: string }
  | { readonly kind: 'execute'; readonly task: EngineTask }
  | { readonly kind: 'close' };

/** Calls that are not answered; what goes wrong is reported by the next task that uses the key. */
export type EngineNotice =
  | { readonly kind: 'write'; readonly key: string; readonly size: number; readonly offset: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'drop'; readonly key: string }
  | { readonly kind: 'asset'; readonly key: string; readonly tensor: HostTensor }
  | { readonly kind: 'dropAsset'; readonly key: string };

export type ToThread = { readonly id: number; readonly request: EngineRequest } | { readonly notice: EngineNotice };

export type FromThread =
  | { readonly id: number; readonly value: EngineResult | undefined }
  | { readonly id: number; readonly error: ErrorRecord };

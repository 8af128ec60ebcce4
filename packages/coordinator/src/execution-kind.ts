import type { RunSpec } from '@dd2/core';

/**
 * What equal bits depend on beside the program: the execution provider and its number of threads. A run spec pins it, and
 * workers of another kind get no lease of that run.
 */
export function executionKind({ provider, intraOpThreads }: RunSpec['execution'] | { readonly provider: string; readonly intraOpThreads: number }): string {
  return `${provider} with ${intraOpThreads} ${intraOpThreads === 1 ? 'thread' : 'threads'}`;
}

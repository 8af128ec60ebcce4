import { existsSync } from 'node:fs';
import { Dd2Error } from '@dd2/core';
import { providers, type Provider } from '../options.js';
import type { Finding } from './finding.js';

/** Runs a tiny graph on a provider, apart from this process. @throws {Dd2Error} PROVIDER_UNAVAILABLE */
export type Probe = (provider: Provider) => Promise<void>;

export interface ProviderOptions {
  /** those that must work; the others are told about */
  readonly needed?: readonly Provider[];
  readonly probe?: Probe;
  /** whether this machine looks as if it had an NVIDIA device */
  readonly hasNvidia?: boolean;
}

/** In a child process: a driver that is broken may abort it, and then that is the finding. */
async function probeHere(provider: Provider): Promise<void> {
  const { probeProvider } = await import('@dd2/engine');
  await probeProvider({ provider, intraOpThreads: 1 });
}

/** Which execution providers work here. The CPU must; of the others only those that are needed. */
export async function checkProviders({ needed = [], probe = probeHere, hasNvidia = existsSync('/dev/nvidiactl') }: ProviderOptions = {}): Promise<Finding[]> {
  return Promise.all(
    providers.map(async (provider): Promise<Finding> => {
      const started = performance.now();
      try {
        await probe(provider);
        return { check: provider, status: 'ok', message: 'the execution provider computes', details: { works: true, milliseconds: Math.round(performance.now() - started) } };
      } catch (thrown) {
        const error = Dd2Error.from(thrown);
        const why = reasonOf(error);
        const details = { works: false };
        if (provider === 'cpu' || needed.includes(provider)) return { check: provider, status: 'problem', message: why, remedy: error.remedy, details };
        if (provider === 'cuda' && hasNvidia) return { check: provider, status: 'warning', message: `there is an NVIDIA device, but ${why}`, remedy: error.remedy, details };
        return { check: provider, status: 'ok', message: `not on this machine (${why}); only \`execution: { provider: ${provider} }\` needs it`, details };
      }
    }),
  );
}

/** What the runtime said, without what every such error says. */
function reasonOf({ message, remedy, field }: Dd2Error): string {
  let text = message;
  if (remedy !== undefined && text.endsWith(`. ${remedy}`)) text = text.slice(0, -remedy.length - 2);
  if (field !== undefined && text.endsWith(` (${field})`)) text = text.slice(0, -field.length - 3);
  return text.replace(/^The execution provider "\w+" does not work on this machine: /, 'it does not work: ').replaceAll(/\s*\n\s*/g, ' ');
}

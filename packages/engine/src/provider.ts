import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Dd2Error } from '@dd2/core';
import type { EngineOptions, ProviderName } from './engine-task.js';

const PROBE_TIMEOUT_MS = 120_000;

const remedies: Record<ProviderName, string> = {
  cpu: 'Check that onnxruntime-node has binaries for this platform, or reinstall the packages',
  webgpu: 'Install a Vulkan driver and its loader (libvulkan1), or choose the provider "cpu"',
  cuda: 'Install the CUDA 12 and cuDNN 9 libraries and the CUDA libraries of onnxruntime-node (its install script fetches them), or choose the provider "cpu"',
};

/**
 * Runs a tiny session on a GPU provider in a child process: a driver that is broken or too old may abort the process that
 * tries it. The CPU provider needs no such care.
 * @throws Dd2Error PROVIDER_UNAVAILABLE
 */
export async function probeInChild(options: EngineOptions): Promise<void> {
  if (options.provider !== 'cpu') await probeProvider(options);
}

/** Runs the tiny session in a child process, whatever the provider. @throws Dd2Error PROVIDER_UNAVAILABLE */
export async function probeProvider(options: EngineOptions): Promise<void> {
  const script = fileURLToPath(new URL('./provider-probe.js', import.meta.url));
  try {
    await promisify(execFile)(process.execPath, [script, JSON.stringify(options)], { timeout: PROBE_TIMEOUT_MS });
  } catch (cause) {
    throw providerUnavailable(options, cause);
  }
}

export function providerUnavailable(options: EngineOptions, cause: unknown): Dd2Error {
  const { provider, deviceId } = options;
  return new Dd2Error('PROVIDER_UNAVAILABLE', `The execution provider "${provider}" does not work on this machine: ${reasonOf(cause)}`, {
    field: 'provider',
    remedy: remedies[provider],
    details: deviceId === undefined ? { provider } : { provider, deviceId },
    cause,
  });
}

/** The child prints its reason on standard output; a child that its driver killed leaves only a signal. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const { stdout, signal } = cause as Error & { stdout?: string; signal?: string | null };
  if (typeof signal === 'string') return `its driver ended the process (${signal})`;
  const reason = stdout?.trim() ?? '';
  // The runtime puts the place in its own source and the condition that failed in front of what it wants to say.
  return (reason === '' ? cause.message : reason).replace(/^.* was false\. /s, '');
}

import type { Evaluation } from '@dd2/proto';
import { formatCount } from './render/format.js';
import type { LiveOutput } from './render/live-output.js';
import type { RunClient } from './run-client.js';

export interface EvaluateOptions {
  readonly runId: string;
  /** one-step, teacher, naive, reconstruction, multi-step-K */
  readonly samplers: readonly string[];
  /** checkpoint; the newest unless told */
  readonly update?: number | undefined;
  /** the run spec's number for the end of the run unless told */
  readonly samples?: number | undefined;
  /** that of the evaluation at the end of the run unless told */
  readonly noiseSeed?: number | undefined;
}

/** Measures a checkpoint on the coordinator's workers; results come one by one in the order of the samplers. */
export async function evaluateRun(client: RunClient, options: EvaluateOptions, output: LiveOutput, signal?: AbortSignal): Promise<Evaluation[]> {
  const { runId, samplers, update, samples = 0, noiseSeed } = options;
  const evaluations: Evaluation[] = [];
  const waitingFor = (): void => {
    const next = samplers[evaluations.length];
    if (next !== undefined) output.status(`measuring ${next} (${evaluations.length + 1}/${samplers.length})`);
  };
  try {
    waitingFor();
    const request = {
      runId,
      samplers: [...samplers],
      samples,
      ...(update === undefined ? {} : { update }),
      ...(noiseSeed === undefined ? {} : { noiseSeed: BigInt(noiseSeed) }),
    };
    for await (const { message } of client.evaluate(request, { signal })) {
      if (message.case === 'evaluation') {
        evaluations.push(message.value);
        waitingFor();
      } else if (message.case === 'progress') {
        output.status(`measuring ${message.value.sampler}: ${formatCount(message.value.totalSamples)} samples`);
      }
    }
    return evaluations;
  } finally {
    output.clear();
  }
}

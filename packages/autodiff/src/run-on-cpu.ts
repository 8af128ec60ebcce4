import { Dd2Error, type DType, type HostTensor } from '@dd2/core';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { RunningModel } from './gradient-check.js';

/** Test support: runs a model in this process with onnxruntime on one CPU thread. */
export async function openOnCpu(model: Uint8Array): Promise<RunningModel> {
  const session = await InferenceSession.create(model, { executionProviders: ['cpu'], intraOpNumThreads: 1, logSeverityLevel: 3 });
  return {
    async run(feeds) {
      const tensors = Object.entries(feeds).map(([name, { dtype, data, shape }]) => [name, new Tensor(dtype, data, shape)] as const);
      const results = await session.run(Object.fromEntries(tensors));
      return Object.fromEntries(Object.entries(results).map(([name, result]) => [name, toHost(result)]));
    },
    close: () => session.release(),
  };
}

function toHost({ type, data, dims }: Tensor): HostTensor {
  const dtypes: Partial<Record<Tensor.Type, DType>> = {
    float32: 'float32',
    float64: 'float64',
    int32: 'int32',
    int64: 'int64',
    uint8: 'uint8',
    bool: 'bool',
  };
  const dtype = dtypes[type];
  if (dtype === undefined) throw new Dd2Error('INTERNAL', `a model returned ${type}`);
  return { dtype, shape: dims, data: data as HostTensor['data'] };
}

import type { HostTensor, SufficientStatistics } from '@dd2/core';
import type { Bundle, BundleContents } from './bundle.js';
import type { BundleFile } from './bundle-manifest.js';
import { assetErrors, corruptFile } from './file-errors.js';

/** Tokens of the data set in raster order: [N, tokens] each. */
export interface DatasetTokens {
  readonly train: HostTensor<'int64'>;
  readonly test: HostTensor<'int64'>;
}

type Tensors = BundleContents['files'][BundleFile];

/** Feature statistics as the tensors of reference.safetensors: `count` [], `sum` [d], `outer` [d, d]. */
export function referenceTensors({ count, sum, outer }: SufficientStatistics): Tensors {
  return {
    count: { dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(count)) },
    sum: { dtype: 'float64', shape: [sum.length], data: sum },
    outer: { dtype: 'float64', shape: [sum.length, sum.length], data: outer },
  };
}

/** Feature statistics of the test images. @throws {Dd2Error} ASSET_MISSING or ASSET_CORRUPT */
export async function readReference(bundle: Bundle): Promise<SufficientStatistics> {
  const file = 'reference.safetensors';
  const { count, sum, outer } = await bundle.read(file);
  const d = sum?.data.length ?? 0;
  if (!(count?.data instanceof BigInt64Array) || count.data.length !== 1) throw corruptFile(assetErrors, file, 'expected one int64', 'count');
  if (!(sum?.data instanceof Float64Array) || d === 0) throw corruptFile(assetErrors, file, 'expected float64 [d]', 'sum');
  if (!(outer?.data instanceof Float64Array) || outer.data.length !== d * d) throw corruptFile(assetErrors, file, `expected float64 [${d}, ${d}]`, 'outer');
  return { count: Number(count.data[0]), sum: sum.data, outer: outer.data };
}

/** Tokens as the tensors of tokens.safetensors: one byte each where the vocabulary allows it. */
export function tokenTensors(tokens: DatasetTokens, vocabulary: number): Tensors {
  const pack = (tensor: HostTensor<'int64'>): HostTensor =>
    vocabulary > 256 ? tensor : { dtype: 'uint8', shape: tensor.shape, data: Uint8Array.from(tensor.data, Number) };
  return { 'train.tokens': pack(tokens.train), 'test.tokens': pack(tokens.test) };
}

/** Tokens of training and test images, each below the vocabulary. @throws {Dd2Error} ASSET_MISSING or ASSET_CORRUPT */
export async function readTokens(bundle: Bundle): Promise<DatasetTokens> {
  const file = 'tokens.safetensors';
  const tensors = await bundle.read(file);
  const { tokens, vocabulary } = bundle.manifest.model;
  const unpack = (name: string): HostTensor<'int64'> => {
    const tensor = tensors[name];
    if (tensor?.shape.length !== 2 || tensor.shape[1] !== tokens || !(tensor.data instanceof Uint8Array || tensor.data instanceof BigInt64Array)) {
      throw corruptFile(assetErrors, file, `expected uint8 or int64 [N, ${tokens}]`, name);
    }
    const data = tensor.data instanceof Uint8Array ? BigInt64Array.from(tensor.data, BigInt) : tensor.data;
    if (data.some((token) => token < 0n || token >= BigInt(vocabulary))) throw corruptFile(assetErrors, file, `a token is not below the vocabulary of ${vocabulary}`, name);
    return { dtype: 'int64', shape: tensor.shape, data };
  };
  return { train: unpack('train.tokens'), test: unpack('test.tokens') };
}

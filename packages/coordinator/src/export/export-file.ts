import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { openBundle, unwritableFile, writeSafetensors } from '@dd2/assets';
import type { HostTensor, ParameterLayout, RunSpec } from '@dd2/core';
import { arDiffusionNetwork, exportProgram, layoutOf, teacherNetwork, tokenizerNetwork, type ExportSampler } from '@dd2/models';
import { loadNetwork } from '../checkpoint.js';
import { modelConfig, readNetwork } from '../model-bundle.js';
import { RunFolder } from '../run-folder.js';

/** What an export is: a sampler as ONNX, or the averaged generator's parameters by name. */
export type ExportKind = ExportSampler | 'parameters';

export interface ExportTask {
  readonly dataDir: string;
  readonly runId: string;
  readonly spec: RunSpec;
  readonly specSha256: string;
  /** the checkpoint */
  readonly update: number;
  readonly kind: ExportKind;
  /** of dd2 */
  readonly version: string;
  /** file to make */
  readonly path: string;
}

/**
 * Writes one export from a checkpoint and the run's assets; when the promise resolves the bytes are on disk (fsync).
 * @throws {Dd2Error} CHECKPOINT_CORRUPT, ASSET_MISSING, ASSET_CORRUPT, UNSUPPORTED_OPERATION for more than 2 GB of ONNX, INTERNAL
 * when the file system refuses
 */
export async function writeExportFile({ dataDir, runId, spec, specSha256, update, kind, version, path }: ExportTask): Promise<void> {
  const bundle = await openBundle(spec.assets);
  const model = modelConfig(bundle.manifest, spec.model);
  const layout = layoutOf(arDiffusionNetwork(model, 'generator'));
  const { manifest, vector } = await loadNetwork(new RunFolder(dataDir, runId), layout, update, 'generator_ema');
  const origin = { 'dd2.run': runId, 'dd2.update': String(update), 'dd2.generator_updates': String(manifest.generatorUpdates), 'dd2.spec_sha256': specSha256 };
  if (kind === 'parameters') {
    await writeSafetensors(path, tensorsOf(layout, vector), { 'dd2.version': version, ...origin });
    return;
  }
  const network = kind === 'teacher' ? { teacher: await readNetwork(bundle, 'teacher.safetensors', layoutOf(teacherNetwork(model))) } : { generator: vector };
  const tokenizer = await readNetwork(bundle, 'tokenizer.safetensors', layoutOf(tokenizerNetwork(model)));
  writeChunks(path, exportProgram({ model, sampler: kind, parameters: { ...network, tokenizer }, version, origin }).chunks);
}

function tensorsOf({ tensors }: ParameterLayout, vector: Float32Array): Record<string, HostTensor> {
  return Object.fromEntries(tensors.map(({ name, shape, offset, size }) => [name, { dtype: 'float32', shape, data: vector.subarray(offset, offset + size) }]));
}

function writeChunks(path: string, chunks: Iterable<Uint8Array>): void {
  try {
    const file = openSync(path, 'wx');
    try {
      for (const chunk of chunks) for (let written = 0; written < chunk.byteLength; ) written += writeSync(file, chunk, written);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (thrown) {
    throw unwritableFile(path, thrown);
  }
}

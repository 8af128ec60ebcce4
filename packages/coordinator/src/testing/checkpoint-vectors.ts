import { createHash } from 'node:crypto';
import type { FileDigest } from '@dd2/assets';
import type { ParameterLayout } from '@dd2/core';
import { checkpointVectors, type CheckpointHeader, type CheckpointTensor, type CheckpointVectors } from '../checkpoint.js';
import { writeCheckpointFile } from '../checkpoint-file.js';

export function header(update: number): CheckpointHeader {
  return { runId: 'run', epoch: 3, specSha256: 'spec', update, phase: 'tune', generatorUpdates: 0, versions: { generator: update, guidance: 1 }, skippedUpdates: 2, skippedInARow: 1, health: { inserted: [{ at: 5, updates: 2 }] } };
}

/** Vectors of a run's state that depend on `seed`, with every kind of float32 that one may hold. */
export function vectorsOf(layout: ParameterLayout, seed: number): CheckpointVectors {
  const special = [0, -0, 1e-45, 3.4e38, -1 / 3];
  return Object.fromEntries(checkpointVectors.map((name, k) => [name, Float32Array.from({ length: layout.size }, (_, i) => special[i] ?? Math.sin(seed + k * 31 + i))])) as CheckpointVectors;
}

/** Writes a checkpoint's file from vectors that are at hand. */
export function writeFrom(vectors: CheckpointVectors): (path: string, tensors: Readonly<Record<string, CheckpointTensor>>) => Promise<FileDigest> {
  return (path, tensors) => Promise.resolve(writeCheckpointFile(path, tensors, (vector, offset, size) => [new Uint8Array(vectors[vector].buffer, offset * 4, size * 4)]));
}

/** SHA-256 of the bits of each vector. */
export function bitsOf(vectors: CheckpointVectors): Record<string, string> {
  return Object.fromEntries(checkpointVectors.map((name) => [name, createHash('sha256').update(vectors[name]).digest('hex')]));
}

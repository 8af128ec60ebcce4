import { z } from 'zod';
import { assetErrors, corruptFile } from './file-errors.js';

/** The files of a bundle beside its manifest, each a safetensors file. */
export const bundleFiles = ['classifier.safetensors', 'tokenizer.safetensors', 'teacher.safetensors', 'reference.safetensors', 'tokens.safetensors'] as const;
export type BundleFile = (typeof bundleFiles)[number];

const size = z.number().int().min(1).max(1_000_000);
const text = z.string().min(1).max(4_096);

const model = z
  .strictObject({
    /** tokens per image: grid * grid */
    tokens: size,
    /** of a code */
    dimension: size,
    vocabulary: size,
    classes: size,
    /** residual width of the teacher */
    width: size,
    layers: size,
    heads: size,
    grid: z.literal([4, 7]),
    /** side of the square images, in pixels */
    imageSize: size,
  })
  .refine((m) => m.tokens === m.grid ** 2, { message: 'tokens is not grid * grid', path: ['tokens'] })
  .refine((m) => m.width % m.heads === 0, { message: 'heads does not divide width', path: ['heads'] });

const digest = z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/, 'not a SHA-256 in hexadecimal'), bytes: z.number().int().min(0) });

/** What `dd2 prepare` made, from what, and how good it is. */
const manifestSchema = z.strictObject({
  format: z.literal('dd2-assets/1'),
  name: text,
  dataset: z.literal('mnist'),
  /** the command line that makes the bundle again */
  command: text,
  seed: z.number().int().min(0),
  versions: z.strictObject({ dd2: text, node: text, onnxruntime: text }),
  createdAt: z.iso.datetime(),
  /** what was measured: accuracy of the classifier, cross-entropy of the teacher, ... */
  metrics: z.record(z.string().max(200), z.number()),
  model,
  files: z.strictObject(Object.fromEntries(bundleFiles.map((name) => [name, digest])) as Record<BundleFile, typeof digest>),
});

export type BundleManifest = z.infer<typeof manifestSchema>;

/** @throws {Dd2Error} ASSET_CORRUPT naming `file` and the field of the manifest that is wrong */
export function parseManifest(json: string, file: string): BundleManifest {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw corruptFile(assetErrors, file, 'the manifest is not JSON', undefined, cause);
  }
  return requireManifest(value, file);
}

/** @throws {Dd2Error} ASSET_CORRUPT as `parseManifest` */
export function requireManifest(value: unknown, file: string): BundleManifest {
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const unknownKey = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const path = [...(issue?.path ?? []), ...(unknownKey === undefined ? [] : [unknownKey])].join('.');
  throw corruptFile(assetErrors, file, issue?.message ?? 'the manifest is not valid', path || 'the whole manifest', parsed.error);
}

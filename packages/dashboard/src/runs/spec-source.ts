/** As the coordinator: larger run specs are refused. */
export const MAX_SPEC_BYTES = 64 * 1024;

/** Size of the text as it is sent, bytes. */
export function specBytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** What is wrong with the source of a run spec, before anything is asked of the coordinator. */
export interface SourceProblem {
  readonly code: 'INVALID_SPEC';
  readonly message: string;
  readonly remedy: string;
}

/** Why the text cannot be a run spec at all; undefined when the coordinator has to say. */
export function sourceProblem(bytes: number): SourceProblem | undefined {
  if (bytes <= MAX_SPEC_BYTES) return undefined;
  return { code: 'INVALID_SPEC', message: `the run spec has ${bytes.toLocaleString('en')} bytes, more than ${MAX_SPEC_BYTES.toLocaleString('en')}`, remedy: 'Is this the right file?' };
}

/** Reads a file that was chosen or dropped. What is too large is not read at all, what is no text is refused. */
export async function readSpecFile(file: Blob): Promise<{ readonly text: string } | { readonly problem: SourceProblem }> {
  const tooLarge = sourceProblem(file.size);
  if (tooLarge) return { problem: tooLarge };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer()) };
  } catch {
    return { problem: { code: 'INVALID_SPEC', message: 'the file is not UTF-8 text', remedy: 'Choose a YAML file' } };
  }
}

/** Beginning and end of a line (from 1) in a text, as character offsets. */
export function lineRange(text: string, line: number): readonly [start: number, end: number] {
  const lines = text.split('\n');
  const at = Math.min(Math.max(1, line), lines.length) - 1;
  const start = lines.slice(0, at).reduce((sum, one) => sum + one.length + 1, 0);
  return [start, start + (lines[at]?.length ?? 0)];
}

/** Overrides as they are typed: one `key.path=value` a line. */
export function parseOverrides(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

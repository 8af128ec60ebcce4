import { Dd2Error, type DType, type InputSource, type ProgramInput, type ProgramSignature } from '@dd2/core';

/** Element types that a kind of source produces; the other kinds have the type of the declaration or of the asset. */
const producedTypes: Partial<Record<InputSource['kind'], DType>> = {
  normal: 'float32',
  uniform: 'float32',
  integer: 'int64',
  index: 'int64',
  step: 'int64',
};

/**
 * The inputs in an order in which each one comes after the input that addresses its rows (`by`).
 * @throws Dd2Error INVALID_ARGUMENT when types, shapes or references do not fit
 */
export function orderInputs(signature: ProgramSignature): ProgramInput[] {
  const byName = new Map(signature.inputs.map((input) => [input.name, input]));
  const ordered = new Set<ProgramInput>();
  const visit = (input: ProgramInput, readers: readonly string[]): void => {
    if (ordered.has(input)) return;
    requireConsistent(input, signature);
    const by = addressOf(input.source);
    if (by !== undefined) {
      const address = byName.get(by);
      if (address?.dtype !== 'int64' || address.shape.length !== 1 || address.shape[0] !== signature.batch) {
        throw invalid(signature, input, `its rows are addressed by "${by}", which is no int64 input of shape [${signature.batch}]`);
      }
      if (readers.includes(by) || by === input.name) throw invalid(signature, input, `"${by}" addresses itself`);
      visit(address, [...readers, input.name]);
    }
    ordered.add(input);
  };
  for (const input of signature.inputs) visit(input, []);
  return [...ordered];
}

function addressOf(source: InputSource): string | undefined {
  return 'by' in source ? source.by : undefined;
}

function requireConsistent(input: ProgramInput, signature: ProgramSignature): void {
  const { dtype, shape, source } = input;
  const produced = producedTypes[source.kind];
  if (produced !== undefined && produced !== dtype) throw invalid(signature, input, `source "${source.kind}" gives ${produced}, not ${dtype}`);
  const { kind } = source;
  if (kind === 'asset' || kind === 'zeros') return;
  if (kind === 'step' ? shape.length !== 0 : shape[0] !== signature.batch) {
    throw invalid(signature, input, kind === 'step' ? 'the step counter is a scalar' : `its first dimension is not the batch of ${signature.batch}`);
  }
  if (kind === 'index' && shape.length !== 1) throw invalid(signature, input, 'sample indices have shape [batch]');
}

function invalid(signature: ProgramSignature, input: ProgramInput, problem: string): Dd2Error {
  return new Dd2Error('INVALID_ARGUMENT', `Program ${signature.name}, input "${input.name}": ${problem}`, { field: input.name });
}

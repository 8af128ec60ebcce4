import { Dd2Error, type ProgramSignature, type ProgramStage } from '@dd2/core';

/** Which outputs of a graph are fetched, and the values that they (over)write. */
export type Fetches = readonly (readonly [output: string, value: string])[];

export interface StagePlan {
  readonly graph: number;
  /** graph input -> value */
  readonly feeds: readonly (readonly [input: string, value: string])[];
  /** the steps to run; undefined for a stage that runs once */
  readonly repeat: { readonly from: number; readonly to: number } | undefined;
  /** a step that another one follows: fetches what the stage feeds itself */
  readonly inner: Fetches;
  /** the last or only execution: fetches what is needed later */
  readonly last: Fetches;
  /** values that nothing needs after the stage */
  readonly dead: readonly string[];
}

/**
 * Finds, by liveness analysis from the last stage to the first, which graph outputs must be fetched at all (every fetch
 * is a copy) and when a fetched value can be freed. `plans[i]` is undefined for a stage that contributes nothing.
 * @throws Dd2Error INVALID_ARGUMENT when a stage, result, metric or gradient reads a value that nobody writes before
 */
export function planStages(signature: ProgramSignature): (StagePlan | undefined)[] {
  requireWritten(signature);
  const live = new Set<string>(readAtTheEnd(signature));
  const plans: (StagePlan | undefined)[] = [];
  for (const stage of signature.stages.toReversed()) {
    const plan = planStage(stage, live);
    plans.unshift(plan);
    if (plan === undefined) continue;
    for (const [, value] of plan.last) live.delete(value);
    for (const [, value] of plan.feeds) live.add(value);
  }
  return plans;
}

function planStage(stage: ProgramStage, liveAfter: ReadonlySet<string>): StagePlan | undefined {
  const feeds = Object.entries(stage.feeds);
  const fetches = Object.entries(stage.fetches);
  const last = fetches.filter(([, value]) => liveAfter.has(value));
  const { repeat } = stage;
  if (last.length === 0 || neverRuns(stage)) return undefined;
  const fed = new Set(feeds.map(([, value]) => value));
  const inner = repeat === undefined ? [] : fetches.filter(([, value]) => fed.has(value));
  const touched = new Set([...fed, ...inner.map(([, value]) => value)]);
  return { graph: stage.graph, feeds, repeat, inner, last, dead: [...touched].filter((value) => !liveAfter.has(value)) };
}

function neverRuns({ repeat }: ProgramStage): boolean {
  return repeat !== undefined && repeat.to <= repeat.from;
}

function readAtTheEnd(signature: ProgramSignature): string[] {
  const gradient = signature.gradient?.tensors ?? [];
  return [...gradient, ...signature.metrics, ...signature.results].map((reader) => reader.value);
}

function requireWritten(signature: ProgramSignature): void {
  const known = new Set(signature.inputs.map((input) => input.name));
  for (const layout of signature.parameters) for (const slot of layout.tensors) known.add(`${layout.network}/${slot.name}`);
  const require = (value: string, reader: string): void => {
    if (!known.has(value)) {
      throw new Dd2Error('INVALID_ARGUMENT', `Program ${signature.name}: ${reader} reads "${value}", which nothing writes before`, { field: value });
    }
  };
  signature.stages.forEach((stage, index) => {
    for (const value of Object.values(stage.feeds)) require(value, `stage ${index}`);
    if (!neverRuns(stage)) for (const value of Object.values(stage.fetches)) known.add(value);
  });
  for (const value of readAtTheEnd(signature)) require(value, 'the signature');
}

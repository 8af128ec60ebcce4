/** Small programs for the tests. */
import { add, div, gather, gradients, Graph, mul, reduceMean, reduceSum, reshape, square, sub } from '@dd2/autodiff';
import type { Program, ProgramInput, ProgramSignature } from '@dd2/core';

/**
 * Fits a line to noise. Parameters weight [dimension], frozen [3] (no gradient), bias [1], in this order or with `frozen` first.
 * Metric `loss`.
 */
export function lineProgram(batch: number, dimension: number, frozenFirst = false): Program {
  const [weightAt, frozenAt] = frozenFirst ? [3, 0] : [0, dimension];
  const graph = new Graph('line');
  const [x, target] = [graph.input('x', [batch, dimension]), graph.input('target', [batch])];
  const [weight, bias] = [graph.input('weight', [dimension]), graph.input('bias', [1])];
  const loss = reduceMean(square(sub(add(reduceSum(mul(x, weight), [1]), bias), target)));
  gradients(loss, [weight, bias]).forEach((tensor, i) => graph.output(`gradient${i}`, tensor));
  graph.output('loss', loss);
  graph.output('unused', mul(x, 2));
  const size = dimension + 4;
  return {
    graphs: [graph.toOnnx()],
    signature: {
      name: 'test.line',
      batch,
      parameters: [{
        network: 'line',
        size,
        tensors: [
          { name: 'weight', shape: [dimension], offset: weightAt, size: dimension },
          { name: 'frozen', shape: [3], offset: frozenAt, size: 3 },
          { name: 'bias', shape: [1], offset: dimension + 3, size: 1 },
        ],
      }],
      inputs: [
        { name: 'x', dtype: 'float32', shape: [batch, dimension], source: { kind: 'normal', stream: 'x' } },
        { name: 'target', dtype: 'float32', shape: [batch], source: { kind: 'uniform', stream: 'target' } },
      ],
      stages: [{
        graph: 0,
        feeds: { x: 'x', target: 'target', weight: 'line/weight', bias: 'line/bias' },
        fetches: { gradient0: 'gradient.weight', gradient1: 'gradient.bias', loss: 'loss', unused: 'unused' },
      }],
      gradient: {
        network: 'line',
        size,
        tensors: [
          { value: 'gradient.bias', offset: dimension + 3, size: 1 },
          { value: 'gradient.weight', offset: weightAt, size: dimension },
        ],
      },
      metrics: [{ name: 'loss', value: 'loss' }],
      results: [],
    },
  };
}

/** Returns its inputs as results; has no graph. */
export function echoProgram(batch: number, inputs: readonly ProgramInput[]): Program {
  return { graphs: [], signature: { ...emptySignature('test.echo', batch), inputs, results: inputs.map(({ name, dtype, shape }) => ({ name, value: name, dtype, shape })) } };
}

/** state = 0; state = 2 state + step, double = 2 state, for step in [from, to); half = double / 2. Results `double` and `half` [2]. */
export function repeatProgram(from: number, to: number): Program {
  const repeated = new Graph('repeated');
  const [state, step] = [repeated.input('state', [2], 'int64'), repeated.input('step', [], 'int64')];
  const next = add(mul(state, 2), step);
  repeated.output('next', next);
  repeated.output('twice', mul(next, 2));
  repeated.output('unused', mul(state, state));
  const after = new Graph('after');
  after.output('half', div(after.input('x', [2], 'int64'), after.scalar(2, 'int64')));
  const zeros = { dtype: 'int64', shape: [2], source: { kind: 'zeros' } } as const;
  return {
    graphs: [repeated.toOnnx(), after.toOnnx()],
    signature: {
      ...emptySignature('test.repeat', 2),
      inputs: [{ name: 'state', ...zeros }, { name: 'double', ...zeros }, { name: 'step', dtype: 'int64', shape: [], source: { kind: 'step' } }],
      stages: [
        { graph: 0, feeds: { state: 'state', step: 'step' }, fetches: { next: 'state', twice: 'double', unused: 'unused' }, repeat: { from, to } },
        { graph: 1, feeds: { x: 'double' }, fetches: { half: 'half' } },
      ],
      results: ['double', 'half'].map((name) => ({ name, value: name, dtype: 'int64' as const, shape: [2] })),
    },
  };
}

/** A second stage looks rows of a table of three up by integers below `below`: fails at run time from 4 on. */
export function lookupProgram(below: number): Program {
  const first = new Graph('first');
  first.output('same', reshape(first.input('index', [64], 'int64'), [8, 8]));
  const second = new Graph('second');
  second.output('rows', gather(second.constant(Float32Array.of(1, 2, 3), [3]), second.input('index', [8, 8], 'int64')));
  return {
    graphs: [first.toOnnx(), second.toOnnx()],
    signature: {
      ...emptySignature('test.lookup', 64),
      inputs: [{ name: 'index', dtype: 'int64', shape: [64], source: { kind: 'integer', stream: 'index', below } }],
      stages: [
        { graph: 0, feeds: { index: 'index' }, fetches: { same: 'table' } },
        { graph: 1, feeds: { index: 'table' }, fetches: { rows: 'rows' } },
      ],
      results: [{ name: 'rows', value: 'rows', dtype: 'float32', shape: [8, 8] }],
    },
  };
}

function emptySignature(name: string, batch: number): ProgramSignature {
  return { name, batch, parameters: [], inputs: [], stages: [], metrics: [], results: [] };
}

import { Dd2Error } from '@dd2/core';
import type { GraphNode } from './graph.js';
import type { GradientView, Operation } from './operation.js';
import { NodeView } from './operation.js';
import { add, mul } from './ops/arithmetic.js';
import { reduceSum } from './ops/reduction.js';
import { expand, fill, reshape } from './ops/shape.js';
import type { Tensor } from './tensor.js';
import { dimensionAt, formatShape, isFloat, padRank, range } from './tensor.js';

/**
 * Gradients of a scalar with respect to `wrt`, added to the same graph as plain operations.
 * Only nodes on a path from some `wrt` to `loss` are differentiated; a `wrt` that the loss does not depend on
 * gets zeros. Throws UNSUPPORTED_OPERATION where the path crosses an operation without a gradient rule.
 */
export function gradients(loss: Tensor, wrt: readonly Tensor[]): Tensor[] {
  checkRequest(loss, wrt);
  const graph = loss.graph;
  const depends = dependents(graph.nodes, wrt);
  const flowing = new Map<Tensor, Tensor[]>([[loss, [graph.scalar(1, loss.dtype)]]]);
  const totals = new Map<Tensor, Tensor>();

  const total = (tensor: Tensor): Tensor | undefined => {
    const known = totals.get(tensor);
    if (known !== undefined) return known;
    const parts = flowing.get(tensor);
    if (parts === undefined) return undefined;
    const sum = parts.reduce((a, b) => add(a, b));
    totals.set(tensor, sum);
    return sum;
  };

  graph.scope('gradient', () => {
    const forward = graph.nodes.slice(0, loss.source.kind === 'node' ? loss.source.node.index + 1 : 0);
    for (const node of forward.reverse()) {
      if (!node.outputs.some((output) => flowing.has(output) && depends.has(output))) continue;
      const wanted = node.inputs.map((input) => input !== undefined && depends.has(input));
      if (!wanted.includes(true) || node.operation.gradient === 'zero') continue;
      const rule = ruleOf(node.operation, node);
      rule(new NodeGradient(node, total, wanted)).forEach((thunk, i) => {
        const input = node.inputs[i];
        if (thunk === undefined || input === undefined || wanted[i] !== true) return;
        const part = thunk();
        const parts = flowing.get(input);
        if (parts === undefined) flowing.set(input, [part]);
        else parts.push(part);
      });
    }
  });
  return wrt.map((tensor) => {
    const gradient = total(tensor);
    return gradient === undefined ? fill(tensor, 0, tensor.shape) : expand(gradient, tensor.shape);
  });
}

function checkRequest(loss: Tensor, wrt: readonly Tensor[]): void {
  if (loss.rank !== 0 || !isFloat(loss.dtype)) {
    throw new Dd2Error('INVALID_ARGUMENT', `gradients need a floating-point loss of shape [], not ${loss.dtype}${formatShape(loss.shape)}`, {
      field: loss.name,
      remedy: 'Reduce it with reduceSum or reduceMean.',
    });
  }
  for (const tensor of wrt) {
    if (tensor.graph !== loss.graph || !isFloat(tensor.dtype)) {
      throw new Dd2Error('INVALID_ARGUMENT', 'gradients are taken with respect to floating-point tensors of the graph of the loss', {
        field: tensor.name,
      });
    }
  }
}

function ruleOf(operation: Operation, node: GraphNode): Exclude<NonNullable<Operation['gradient']>, 'zero'> {
  if (operation.gradient === undefined || operation.gradient === 'zero') {
    throw new Dd2Error('UNSUPPORTED_OPERATION', `no gradient rule for ${operation.type}`, {
      field: node.name,
      remedy: 'Add one to its row, or put stopGradient around it.',
      details: { operation: operation.type, node: node.name },
    });
  }
  return operation.gradient;
}

/** The tensors through which a change of `wrt` reaches what follows. */
function dependents(nodes: readonly GraphNode[], wrt: readonly Tensor[]): Set<Tensor> {
  const depends = new Set(wrt);
  for (const node of nodes) {
    if (node.operation.gradient === 'zero') continue;
    if (!node.inputs.some((input) => input !== undefined && depends.has(input))) continue;
    for (const output of node.outputs) if (isFloat(output.dtype)) depends.add(output);
  }
  return depends;
}

class NodeGradient extends NodeView implements GradientView {
  readonly outputs: readonly Tensor[];

  constructor(
    node: GraphNode,
    readonly total: (tensor: Tensor) => Tensor | undefined,
    readonly wanted: readonly boolean[],
  ) {
    super(node.operation.type, node.name, node.inputs, node.attributes);
    this.outputs = node.outputs;
  }

  get output(): Tensor {
    return this.outputs[0] ?? this.fail('has no output');
  }

  get dy(): Tensor {
    return this.dyOf(0) ?? this.fail('no gradient reaches its first output');
  }

  get broadcastDy(): Tensor {
    return this.total(this.output) ?? this.fail('no gradient reaches its first output');
  }

  dyOf(index: number): Tensor | undefined {
    const output = this.outputs[index] ?? this.fail(`has no output ${index}`);
    const gradient = this.total(output);
    return gradient === undefined ? undefined : expand(gradient, output.shape);
  }

  reached(index: number): boolean {
    const output = this.outputs[index];
    return output !== undefined && this.total(output) !== undefined;
  }

  wants(index: number): boolean {
    return this.wanted[index] === true;
  }

  sumToInput(gradient: Tensor, index: number): Tensor {
    const target = this.input(index).shape;
    const full = this.output.shape;
    const given = padRank(gradient.shape, full.length);
    const broadcast = range(full.length).filter(
      (axis) => dimensionAt(full, axis) !== 1 && dimensionAt(padRank(target, full.length), axis) === 1,
    );
    // where the gradient itself is constant along the axis, the sum is a product
    const [summed, repeated] = [broadcast.filter((a) => given[a] !== 1), broadcast.filter((a) => given[a] === 1)];
    const sum = summed.length === 0 ? gradient : reduceSum(reshape(gradient, given), summed, true);
    const copies = repeated.reduce((product, axis) => product * dimensionAt(full, axis), 1);
    const scaled = copies === 1 ? sum : mul(sum, copies);
    return scaled.rank > target.length ? reshape(scaled, scaled.shape.slice(scaled.rank - target.length)) : scaled;
  }
}

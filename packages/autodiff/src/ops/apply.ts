import { Dd2Error } from '@dd2/core';
import type { Attributes, NodeView, Operation, TensorType } from '../operation.js';
import type { Tensor } from '../tensor.js';
import { broadcastShapes, isFloat } from '../tensor.js';

export type Operand = Tensor | number;

/** The first output of a node. */
export function onlyOutput(outputs: readonly Tensor[]): Tensor {
  const first = outputs[0];
  if (first === undefined) throw new Dd2Error('INTERNAL', 'an operation inferred no outputs');
  return first;
}

/** Applies a row whose first input is a tensor and returns its first output. */
export function apply(operation: Operation, inputs: readonly [Tensor, ...(Tensor | undefined)[]], attributes: Attributes = {}): Tensor {
  return onlyOutput(inputs[0].graph.apply(operation, inputs, attributes));
}

/** Applies a row to two operands; a number becomes a scalar constant of the other's dtype. */
export function applyBinary(operation: Operation, a: Operand, b: Operand): Tensor {
  return apply(operation, toTensors(a, b, operation.type));
}

export function toTensors(a: Operand, b: Operand, user: string): [Tensor, Tensor] {
  if (typeof a !== 'number') return [a, typeof b === 'number' ? a.graph.scalar(b, a.dtype) : b];
  if (typeof b !== 'number') return [b.graph.scalar(a, b.dtype), b];
  throw new Dd2Error('INVALID_ARGUMENT', `${user} of two numbers has no graph`, { remedy: 'Make one of them a tensor.' });
}

/** Output type of an element-wise unary row. */
export function sameType(view: NodeView): readonly TensorType[] {
  return [view.input(0)];
}

/** As `sameType`, for rows that ONNX defines on floating-point numbers only. */
export function sameFloatType(view: NodeView): readonly TensorType[] {
  if (!isFloat(view.input(0).dtype)) view.fail('needs floating-point values', 'Cast the input first.');
  return [view.input(0)];
}

/** Output type of an element-wise binary row: equal dtypes, broadcast shapes. */
export function broadcastType(view: NodeView): readonly TensorType[] {
  const a = view.input(0);
  return [{ dtype: a.dtype, shape: broadcastShape(view) }];
}

export function comparisonType(view: NodeView): readonly TensorType[] {
  return [{ dtype: 'bool', shape: broadcastShape(view) }];
}

function broadcastShape(view: NodeView): readonly number[] {
  const [a, b] = [view.input(0), view.input(1)];
  if (a.dtype !== b.dtype) view.fail('dtypes differ', 'Cast one of them.');
  return broadcastShapes(a.shape, b.shape) ?? view.fail('shapes do not broadcast');
}

/** `axis` counted from the front; negative axes count from the back. */
export function axisOf(x: Tensor, axis: number, user: string): number {
  const positive = axis < 0 ? axis + x.rank : axis;
  if (!Number.isInteger(positive) || positive < 0 || positive >= x.rank) {
    throw new Dd2Error('INVALID_ARGUMENT', `${user}: axis ${axis} does not exist in [${x.shape.join(',')}]`, { field: x.name });
  }
  return positive;
}

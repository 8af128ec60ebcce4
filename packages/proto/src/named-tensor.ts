import { create } from '@bufbuild/protobuf';
import { Dd2Error, type HostTensor } from '@dd2/core';
import { fromDataType, toDataType } from './data-type.js';
import { NamedTensorSchema, type NamedTensor } from './gen/dd2/v1/bulk_pb.js';
import { toSafeNumber } from './safe-number.js';
import { tensorBytes, tensorFromBytes } from './tensor-codec.js';

/** Small tensors inside a message, by name; their data are views. @throws {Dd2Error} INVALID_ARGUMENT */
export function toNamedTensors(tensors: Readonly<Record<string, HostTensor>>): NamedTensor[] {
  return Object.entries(tensors).map(([name, tensor]) =>
    create(NamedTensorSchema, { name, dataType: toDataType(tensor.dtype), shape: tensor.shape.map(BigInt), data: tensorBytes(tensor) }),
  );
}

/** The inverse; data are views of the message where their alignment allows it. @throws {Dd2Error} PROTOCOL */
export function fromNamedTensors(messages: readonly NamedTensor[]): Record<string, HostTensor> {
  const tensors = new Map<string, HostTensor>();
  for (const { name, dataType, shape, data } of messages) {
    if (tensors.has(name)) throw new Dd2Error('PROTOCOL', 'two results have the same name', { field: name });
    const dimensions = shape.map((dimension) => toSafeNumber(dimension, name));
    tensors.set(name, tensorFromBytes(fromDataType(dataType), dimensions, data));
  }
  return Object.fromEntries(tensors);
}

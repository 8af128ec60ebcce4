import { Dd2Error, type DType } from '@dd2/core';
import { DataType } from './gen/dd2/v1/bulk_pb.js';

interface ElementType {
  readonly wire: DataType;
  readonly bytes: number;
}

export const elementTypes: Readonly<Record<DType, ElementType>> = {
  float32: { wire: DataType.FLOAT32, bytes: 4 },
  float64: { wire: DataType.FLOAT64, bytes: 8 },
  int32: { wire: DataType.INT32, bytes: 4 },
  int64: { wire: DataType.INT64, bytes: 8 },
  uint8: { wire: DataType.UINT8, bytes: 1 },
  bool: { wire: DataType.BOOL, bytes: 1 },
};

const byWire = new Map<number, DType>();
for (const dtype of Object.keys(elementTypes) as DType[]) byWire.set(elementTypes[dtype].wire, dtype);

export function toDataType(dtype: DType): DataType {
  return elementTypes[dtype].wire;
}

/** @throws {Dd2Error} PROTOCOL for a number that this version does not know */
export function fromDataType(wire: number): DType {
  const dtype = byWire.get(wire);
  if (dtype === undefined) throw new Dd2Error('PROTOCOL', `element type ${wire} is unknown`, { field: 'data_type' });
  return dtype;
}

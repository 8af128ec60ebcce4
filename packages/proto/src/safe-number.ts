import { Dd2Error } from '@dd2/core';

/** A uint64 of the wire as a number. @throws {Dd2Error} PROTOCOL above 2^53 - 1 */
export function toSafeNumber(value: bigint, field: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new Dd2Error('PROTOCOL', `${value} is out of range`, { field });
  return number;
}

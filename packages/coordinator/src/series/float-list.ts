/** Float64 values, densely packed, that grow at their end. */
export class FloatList {
  #values: Float64Array;
  #length: number;

  /** Takes the array over, it is not copied. */
  constructor(values: Float64Array = new Float64Array(0)) {
    this.#values = values;
    this.#length = values.length;
  }

  get length(): number {
    return this.#length;
  }

  /** bytes of memory, room to grow included */
  get bytes(): number {
    return this.#values.byteLength;
  }

  /** The value at an index below the length; behind it, NaN. */
  at(index: number): number {
    return this.#values[index] ?? NaN;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) this.#grow(this.#length + 1);
    this.#values[this.#length++] = value;
  }

  set(index: number, value: number): void {
    if (index < this.#length) this.#values[index] = value;
  }

  /** Drops what lies behind, or adds zeros. */
  resize(length: number): void {
    if (length > this.#values.length) this.#grow(length);
    if (length > this.#length) this.#values.fill(0, this.#length, length);
    this.#length = length;
  }

  /** The values without a copy, valid until the list changes. */
  view(): Float64Array {
    return this.#values.subarray(0, this.#length);
  }

  /** A copy of the first values. */
  slice(length: number): FloatList {
    return new FloatList(this.#values.slice(0, length));
  }

  #grow(length: number): void {
    const grown = new Float64Array(Math.max(length, 64, Math.ceil(this.#values.length * 1.3)));
    grown.set(this.view());
    this.#values = grown;
  }
}

/** In an ascending list, the first index in [from, to) whose value is not below; `to` when there is none. */
export function firstNotBelow(list: FloatList, value: number, from = 0, to = list.length): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list.at(middle) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** In an ascending list, the first index in [from, to) whose value is above; `to` when there is none. */
export function firstAbove(list: FloatList, value: number, from = 0, to = list.length): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list.at(middle) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

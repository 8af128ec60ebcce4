/** Bytes that the browser's random source gives at once. */
const LONGEST_DRAW = 65_536;

/** Fills with independent uniform draws from the open interval (0, 1). */
export function fillUniform(values: Float32Array): void {
  const words = new Uint32Array(values.length);
  for (let at = 0; at < words.length; at += LONGEST_DRAW / 4) crypto.getRandomValues(words.subarray(at, at + LONGEST_DRAW / 4));
  // 23 bits and a half: with more of them, the largest would round to 1 in float32, and its logarithm's logarithm is not finite.
  words.forEach((word, i) => (values[i] = ((word >>> 9) + 0.5) / 2 ** 23));
}

/** Fills with independent standard normal draws, by the transform of Box and Muller. */
export function fillNormal(values: Float32Array): void {
  const uniform = new Float32Array(values.length + (values.length % 2));
  fillUniform(uniform);
  for (let i = 0; i < values.length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniform[i] ?? NaN));
    const angle = 2 * Math.PI * (uniform[i + 1] ?? NaN);
    values[i] = radius * Math.cos(angle);
    if (i + 1 < values.length) values[i + 1] = radius * Math.sin(angle);
  }
}

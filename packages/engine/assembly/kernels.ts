/**
 * Element-wise kernels over float32 vectors in linear memory. Arguments are byte offsets and element counts.
 * A kernel walks its vectors in blocks of 16 elements (four 128-bit registers) and finishes the last 0 to 15 one at a time;
 * AdamW, bound by division and square root, in blocks of 4. The order of every operation is fixed, and
 * fused multiply-add (relaxed SIMD) is not used: the same input gives the same bits on every machine.
 */

const BLOCK: usize = 64;

/** Where the last whole block of 16 elements ends. */
// @ts-ignore: decorator
@inline
function blocksEnd(start: usize, count: usize): usize {
  return start + ((count << 2) & ~(BLOCK - 1));
}

/** dst = a + b; dst may be a or b. */
export function addInto(dst: usize, a: usize, b: usize, count: usize): void {
  const end = dst + (count << 2);
  const blocks = blocksEnd(dst, count);
  for (; dst < blocks; dst += BLOCK, a += BLOCK, b += BLOCK) {
    v128.store(dst, f32x4.add(v128.load(a), v128.load(b)));
    v128.store(dst, f32x4.add(v128.load(a, 16), v128.load(b, 16)), 16);
    v128.store(dst, f32x4.add(v128.load(a, 32), v128.load(b, 32)), 32);
    v128.store(dst, f32x4.add(v128.load(a, 48), v128.load(b, 48)), 48);
  }
  for (; dst < end; dst += 4, a += 4, b += 4) store<f32>(dst, load<f32>(a) + load<f32>(b));
}

/** dst *= factor */
export function scale(dst: usize, count: usize, factor: f32): void {
  const end = dst + (count << 2);
  const blocks = blocksEnd(dst, count);
  const factors = f32x4.splat(factor);
  for (; dst < blocks; dst += BLOCK) {
    v128.store(dst, f32x4.mul(v128.load(dst), factors));
    v128.store(dst, f32x4.mul(v128.load(dst, 16), factors), 16);
    v128.store(dst, f32x4.mul(v128.load(dst, 32), factors), 32);
    v128.store(dst, f32x4.mul(v128.load(dst, 48), factors), 48);
  }
  for (; dst < end; dst += 4) store<f32>(dst, load<f32>(dst) * factor);
}

// @ts-ignore: decorator
@inline
function squaresLow(x: v128): v128 {
  const wide = f64x2.promote_low_f32x4(x);
  return f64x2.mul(wide, wide);
}

// @ts-ignore: decorator
@inline
function squaresHigh(x: v128): v128 {
  return squaresLow(i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
}

/** Sum of squares in float64: eight lanes (element e goes to lane e mod 8), added pairwise, then the last elements in order. */
export function sumOfSquares(src: usize, count: usize): f64 {
  const end = src + (count << 2);
  const blocks = blocksEnd(src, count);
  let s0 = f64x2.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (; src < blocks; src += BLOCK) {
    const x0 = v128.load(src);
    const x1 = v128.load(src, 16);
    const x2 = v128.load(src, 32);
    const x3 = v128.load(src, 48);
    s0 = f64x2.add(f64x2.add(s0, squaresLow(x0)), squaresLow(x2));
    s1 = f64x2.add(f64x2.add(s1, squaresHigh(x0)), squaresHigh(x2));
    s2 = f64x2.add(f64x2.add(s2, squaresLow(x1)), squaresLow(x3));
    s3 = f64x2.add(f64x2.add(s3, squaresHigh(x1)), squaresHigh(x3));
  }
  const lanes = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3));
  let sum = f64x2.extract_lane(lanes, 0) + f64x2.extract_lane(lanes, 1);
  for (; src < end; src += 4) {
    const x = <f64>load<f32>(src);
    sum += x * x;
  }
  return sum;
}

/** The exponent of a float32: all ones in NaN and in both infinities, never in a finite number. */
const EXPONENT: u32 = 0x7f800000;

// @ts-ignore: decorator
@inline
function nonFiniteMask(x: v128): v128 {
  const exponent = i32x4.splat(EXPONENT);
  return i32x4.eq(v128.and(x, exponent), exponent);
}

/** How many elements are NaN or infinite. A true lane is -1, so counting is subtracting. */
export function nonFiniteCount(src: usize, count: usize): u32 {
  const end = src + (count << 2);
  const blocks = blocksEnd(src, count);
  let c0 = i32x4.splat(0);
  let c1 = i32x4.splat(0);
  for (; src < blocks; src += BLOCK) {
    c0 = i32x4.sub(i32x4.sub(c0, nonFiniteMask(v128.load(src))), nonFiniteMask(v128.load(src, 16)));
    c1 = i32x4.sub(i32x4.sub(c1, nonFiniteMask(v128.load(src, 32))), nonFiniteMask(v128.load(src, 48)));
  }
  const c = i32x4.add(c0, c1);
  let total = i32x4.extract_lane(c, 0) + i32x4.extract_lane(c, 1) + i32x4.extract_lane(c, 2) + i32x4.extract_lane(c, 3);
  for (; src < end; src += 4) {
    if ((load<u32>(src) & EXPONENT) == EXPONENT) total++;
  }
  return total;
}

/**
 * One AdamW step (Loshchilov & Hutter, arXiv 1711.05101, algorithm 2), in place:
 *   g' = gradientScale g;  m = m + (1 - beta1)(g' - m);  v = beta2 v + (1 - beta2) g'^2
 *   p = keep p - stepSize m / (sqrt(v) inverseRoot + epsilon)
 * with keep = 1 - lr weightDecay, stepSize = lr / (1 - beta1^step), inverseRoot = 1 / sqrt(1 - beta2^step).
 */
export function adamw(
  p: usize, g: usize, m: usize, v: usize, count: usize,
  gradientScale: f32, oneMinusBeta1: f32, beta2: f32, oneMinusBeta2: f32,
  keep: f32, stepSize: f32, inverseRoot: f32, epsilon: f32,
): void {
  const end = p + (count << 2);
  const blocks = p + ((count << 2) & ~15);
  const gs = f32x4.splat(gradientScale);
  const b1 = f32x4.splat(oneMinusBeta1);
  const b2 = f32x4.splat(beta2);
  const c2 = f32x4.splat(oneMinusBeta2);
  const k = f32x4.splat(keep);
  const step = f32x4.splat(stepSize);
  const root = f32x4.splat(inverseRoot);
  const eps = f32x4.splat(epsilon);
  for (; p < blocks; p += 16, g += 16, m += 16, v += 16) {
    const grad = f32x4.mul(v128.load(g), gs);
    const first = v128.load(m);
    const m1 = f32x4.add(first, f32x4.mul(b1, f32x4.sub(grad, first)));
    const v1 = f32x4.add(f32x4.mul(b2, v128.load(v)), f32x4.mul(c2, f32x4.mul(grad, grad)));
    v128.store(m, m1);
    v128.store(v, v1);
    const ratio = f32x4.div(m1, f32x4.add(f32x4.mul(f32x4.sqrt(v1), root), eps));
    v128.store(p, f32x4.sub(f32x4.mul(v128.load(p), k), f32x4.mul(step, ratio)));
  }
  for (; p < end; p += 4, g += 4, m += 4, v += 4) {
    const grad = load<f32>(g) * gradientScale;
    const first = load<f32>(m);
    const m1 = first + oneMinusBeta1 * (grad - first);
    const v1 = beta2 * load<f32>(v) + oneMinusBeta2 * (grad * grad);
    store<f32>(m, m1);
    store<f32>(v, v1);
    const ratio = m1 / (sqrt<f32>(v1) * inverseRoot + epsilon);
    store<f32>(p, load<f32>(p) * keep - stepSize * ratio);
  }
}

/** target += rate (source - target), rate = 1 - decay; a target equal to its source stays exactly what it is. */
export function ema(target: usize, source: usize, count: usize, rate: f32): void {
  const end = target + (count << 2);
  const blocks = blocksEnd(target, count);
  const rates = f32x4.splat(rate);
  for (; target < blocks; target += BLOCK, source += BLOCK) {
    const t0 = v128.load(target);
    const t1 = v128.load(target, 16);
    const t2 = v128.load(target, 32);
    const t3 = v128.load(target, 48);
    v128.store(target, f32x4.add(t0, f32x4.mul(rates, f32x4.sub(v128.load(source), t0))));
    v128.store(target, f32x4.add(t1, f32x4.mul(rates, f32x4.sub(v128.load(source, 16), t1))), 16);
    v128.store(target, f32x4.add(t2, f32x4.mul(rates, f32x4.sub(v128.load(source, 32), t2))), 32);
    v128.store(target, f32x4.add(t3, f32x4.mul(rates, f32x4.sub(v128.load(source, 48), t3))), 48);
  }
  for (; target < end; target += 4, source += 4) {
    const t = load<f32>(target);
    store<f32>(target, t + rate * (load<f32>(source) - t));
  }
}

/** dst = src; the ranges may overlap. */
export function copy(dst: usize, src: usize, count: usize): void {
  memory.copy(dst, src, count << 2);
}

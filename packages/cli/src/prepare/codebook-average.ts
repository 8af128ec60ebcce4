import { Dd2Error, fillInteger } from '@dd2/core';

const decay = 0.98;
/** a code that is chosen less often than this fraction of the mean is dead */
const deadFraction = 0.03;
/** keeps the division finite for a code that is never chosen */
const minimumUse = 1e-3;

/**
 * The codebook of a VQ-VAE as exponential moving averages of the latents that chose each code (van den Oord et al.,
 * arXiv 1711.00937, appendix A.1), started from data, with dead codes restarted at latents of the current batch.
 */
export class CodebookAverage {
  readonly #use: Float64Array;
  readonly #sum: Float64Array;

  constructor(
    private readonly vocabulary: number,
    private readonly dimension: number,
    private readonly seed: number,
  ) {
    this.#use = new Float64Array(vocabulary);
    this.#sum = new Float64Array(vocabulary * dimension);
  }

  /** Forgets everything and sets the codebook [V, d] to distinct latents of a batch, `latents` [m, d] with m >= V. */
  startFrom(step: number, latents: Float32Array, codebook: Float32Array): void {
    const { vocabulary: V, dimension: d } = this;
    const rows = latents.length / d;
    if (rows < V) throw new Dd2Error('INVALID_ARGUMENT', `${rows} latents cannot start ${V} codes`, { remedy: 'Use a larger batch' });
    // The first V places of a Fisher-Yates shuffle.
    const order = Uint32Array.from({ length: rows }, (_, row) => row);
    const draws = this.#draw('start', step, V, 2 ** 31);
    for (let code = 0; code < V; code++) {
      const other = code + Number((draws[code] ?? 0n) % BigInt(rows - code));
      const row = order[other] ?? 0;
      order[other] = order[code] ?? 0;
      codebook.set(latents.subarray(row * d, row * d + d), code * d);
    }
    this.#use.fill(1);
    this.#sum.set(codebook);
  }

  /**
   * Takes in one batch: how often each code was chosen [V], the sum of the latents that chose it [V, d], and those latents [m, d].
   * Writes the new codebook [V, d]; returns the number of codes that were restarted.
   */
  update(step: number, counts: Float32Array, sums: Float32Array, latents: Float32Array, codebook: Float32Array): number {
    const { vocabulary: V, dimension: d } = this;
    const use = this.#use;
    const sum = this.#sum;
    for (let code = 0; code < V; code++) use[code] = decay * (use[code] ?? 0) + (1 - decay) * (counts[code] ?? 0);
    for (let i = 0; i < V * d; i++) {
      sum[i] = decay * (sum[i] ?? 0) + (1 - decay) * (sums[i] ?? 0);
      codebook[i] = (sum[i] ?? 0) / Math.max(use[Math.floor(i / d)] ?? 0, minimumUse);
    }
    const mean = use.reduce((total, value) => total + value, 0) / V;
    const dead = Array.from(use.keys()).filter((code) => (use[code] ?? 0) < deadFraction * mean);
    const rows = this.#draw('restart', step, dead.length, latents.length / d);
    dead.forEach((code, i) => {
      const row = Number(rows[i] ?? 0n);
      const latent = latents.subarray(row * d, row * d + d);
      codebook.set(latent, code * d);
      use[code] = mean;
      latent.forEach((value, j) => (sum[code * d + j] = value * mean));
    });
    return dead.length;
  }

  #draw(stream: string, update: number, count: number, below: number): BigInt64Array {
    const draws = new BigInt64Array(count);
    if (count > 0) fillInteger(draws, below, { seed: this.seed, update, stream: `tokenizer/${stream}` }, [0]);
    return draws;
  }
}

import { add, argMax, concat, div, embedding, linear, mul, neg, reduceSum, reshape, softmax, square, matmul, sub, type Tensor } from '@dd2/autodiff';
import type { Parameters } from './parameters.js';

/** The codebook in some coordinates, with what nearest-code searches and posteriors need of it. */
export class Codebook {
  /** [V, d] */
  readonly codes: Tensor;
  readonly #halfNorms: Tensor;

  constructor(codes: Tensor) {
    this.codes = codes;
    this.#halfNorms = mul(reduceSum(square(codes), [1]), 0.5);
  }

  /** The codes that the convolutions see. */
  static raw(tokenizer: Parameters): Codebook {
    return new Codebook(tokenizer.tensor('codebook'));
  }

  /** The codes normalised per dimension to the mean and deviation of the data: the space of noise paths and networks. */
  static normalised(tokenizer: Parameters): Codebook {
    return new Codebook(div(sub(tokenizer.tensor('codebook'), tokenizer.tensor('latent.mean')), tokenizer.tensor('latent.std')));
  }

  /** int64 tokens [...] -> vectors [..., d]. */
  lookUp(tokens: Tensor): Tensor {
    return embedding(this.codes, tokens);
  }

  /** Tokens int64 [...] of the codes nearest to x [..., d]: argmax_j of x . c_j - |c_j|^2 / 2. */
  nearest(x: Tensor): Tensor {
    return argMax(linear(x, this.codes, neg(this.#halfNorms)), -1);
  }

  /** The nearest codes themselves, [..., d]. */
  snap(x: Tensor): Tensor {
    return this.lookUp(this.nearest(x));
  }

  /**
   * The teacher score query in closed form: the mean [..., d] of the clean token given xt [..., d] at time t [..., 1], when the code j has
   * prior probability exp(logPrior_j), logPrior [..., V] (broadcast): w = softmax_j(log p_j - |x_t - (1-t) c_j|^2 / (2 t^2)), sum_j w_j c_j.
   * Without the |x_t|^2 term the exponent is linear in (c_j, |c_j|^2 / 2), so that one product gives it.
   */
  posteriorMean(xt: Tensor, t: Tensor, logPrior: Tensor): Tensor {
    const [vocabulary] = this.codes.shape as [number];
    const ratio = div(sub(1, t), t);
    const query = concat([mul(xt, div(ratio, t)), neg(square(ratio))], -1);
    const keys = concat([this.codes, reshape(this.#halfNorms, [vocabulary, 1])], 1);
    return matmul(softmax(add(linear(query, keys), logPrior), -1), this.codes);
  }
}

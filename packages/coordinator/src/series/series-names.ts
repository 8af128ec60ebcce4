/**
 * The series of a run, `<group>.<metric>`. The group of an update is its phase in `tune` and `regress`, and its network in align and
 * distill; `update` has a point for every update. The losses are those that the update's program declares as metrics (packages/models):
 *
 * | series | title | meaning |
 * |---|---|---|
 * | tune.loss | Tune loss | velocity error against the teacher's closed-form velocity, mean square per dimension |
 * | regress.loss | Regress loss | error against the tokens of the teacher's ODE, mean square per dimension |
 * | guidance.loss | Guidance loss | denoising error of the guidance network on the generator's samples (FCS), mean square per dimension; its floor is the spread that the samples have, not 0 |
 * | generator.loss | Generator loss | the conditional-score-distillation objective (CSD), summed over dimensions; not a distance, may be negative |
 * | generator.gap | Conditional-score error | mean of the square of f_T - f_G per dimension, the posterior means of teacher and guidance network at noisy versions of the generator's samples: how far the generator's conditional score is from the teacher's, in units in which scores of all noise levels compare (the scores differ by (1 - t) / t^2 times as much); 0 when the distributions agree |
 * | *.gradientNorm | Gradient norm | Euclidean norm of the mean gradient, before clipping |
 * | *.learningRate | Learning rate | |
 * | update.wallMs | Time of an update | ms from plan to commit |
 * | update.computeMs | Compute | ms of execution on the busiest worker |
 * | update.transferMs | Transfer | ms for leases, parameters and gradients: what collecting took beyond the execution |
 * | update.reduceMs | Reduce | ms from the last result to the complete sum |
 * | update.optimizeMs | Optimize | ms |
 * | update.publishMs | Publish | ms |
 * | update.overhead | Overhead | share of the wall time in which no worker computed for the update, 0 to 1 |
 * | update.samplesPerSecond | Samples per second | samples over wall time of the last 50 updates of the phase, pauses left out |
 * | update.updatesPerSecond | Updates per second | the same, of updates |
 * | update.workers | Workers | connected when the update was over |
 * | update.skippedUpdates | Skipped updates | updates so far whose gradient was not finite |
 * | update.guidancePerGenerator | Guidance updates per generator update | the update frequency actually achieved: see `guidanceFrequency` |
 */
export const seriesGroups = ['tune', 'regress', 'guidance', 'generator', 'update'] as const;
export type SeriesGroup = (typeof seriesGroups)[number];

/** The group that an update's own metrics belong to; nothing for phases and networks that there are none of. */
export function groupOf(phase: string, network: string): SeriesGroup | undefined {
  if (phase === 'tune' || phase === 'regress') return phase;
  return network === 'guidance' || network === 'generator' ? network : undefined;
}

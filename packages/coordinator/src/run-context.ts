import { Aggregators } from './aggregators.js';
import { ModelContext, type ModelContextOptions } from './model-context.js';
import type { RunProgress } from './run-state.js';

/** Everything that advancing one run needs; owned by the run, closed with it. */
export class RunContext extends ModelContext {
  readonly aggregators: Aggregators;
  readonly progress: RunProgress = { update: 0, versions: { generator: 0, guidance: 0 }, skippedUpdates: 0, skippedInARow: 0 };

  constructor(options: ModelContextOptions) {
    super(options);
    this.aggregators = new Aggregators(this.layout.size);
  }

  /** Makes the current parameters of a network available to workers under its version. */
  async publish(network: 'generator' | 'guidance'): Promise<void> {
    await this.parameters.publish(network, this.progress.versions[network], this.layout.size, (path) => this.aggregators.write(network, path));
  }

  override async close(): Promise<void> {
    await this.aggregators.terminate();
    await super.close();
  }
}

import { WorkerState, type Worker, type WorkerLease } from '@dd2/proto';
import { formatCount, formatDuration } from './format.js';
import { workerStateName } from './plain.js';
import { renderTable, type Cell, type TableOptions } from './table.js';
import type { Style } from './terminal.js';
import { dateOf } from './time.js';

const styles: Partial<Record<WorkerState, Style>> = { [WorkerState.BUSY]: 'green', [WorkerState.DRAINING]: 'yellow', [WorkerState.PUT_ASIDE]: 'red' };

/** One row per worker. @param now the coordinator's clock, which says how long ago a worker was heard */
export function renderWorkers(workers: readonly Worker[], now: Date, options: TableOptions = {}): string {
  return renderTable(
    [
      { title: 'worker' },
      { title: 'state' },
      { title: 'device' },
      { title: 'pool', optional: true, dropped: 6 },
      { title: 'host', dropped: 9 },
      { title: 'busy', align: 'right', dropped: 5 },
      { title: 'micro-batches/s', align: 'right', dropped: 3 },
      { title: 'leases', align: 'right', dropped: 4 },
      { title: 'failed', align: 'right', optional: true, dropped: 8 },
      { title: 'straggled', align: 'right', optional: true, dropped: 7 },
      { title: 'heard', align: 'right' },
      { title: 'works on', optional: true, shrinksTo: 16, dropped: 2 },
    ],
    workers.map((worker): Cell[] => {
      const style = styles[worker.state];
      const state = workerStateName(worker.state) + (worker.asideUntil ? ` for ${formatDuration(secondsBetween(now, dateOf(worker.asideUntil)))}` : '');
      return [
        worker.name,
        style === undefined ? state : [style, state],
        `${worker.provider} x ${worker.intraOpThreads}`,
        worker.pool,
        `${worker.host}:${worker.processId}`,
        `${Math.round(100 * worker.busy)} %`,
        worker.microBatchesPerSecond.toFixed(1),
        formatCount(Number(worker.leasesDone)),
        worker.leasesFailed === 0n ? '' : formatCount(Number(worker.leasesFailed)),
        worker.straggled === 0n ? '' : formatCount(Number(worker.straggled)),
        worker.lastHeardAt === undefined ? '' : `${formatDuration(secondsBetween(dateOf(worker.lastHeardAt), now))} ago`,
        worker.leases.map(describeLease).join(', '),
      ];
    }),
    options,
  );
}

/** `mnist-1 update 812 (4 micro-batches, 3 s, backup)` */
function describeLease({ runId, update, microBatches, heldSeconds, backup }: WorkerLease): string {
  return `${runId} update ${formatCount(update)} (${microBatches} micro-${microBatches === 1 ? 'batch' : 'batches'}, ${formatDuration(heldSeconds)}${backup ? ', backup' : ''})`;
}

const secondsBetween = (from: Date, to: Date): number => Math.max(0, (to.getTime() - from.getTime()) / 1_000);

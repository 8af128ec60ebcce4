import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Worker } from '../api/client.js';
import { Ago } from '../ui/ago.js';
import { Badge, type Tone } from '../ui/badge.js';
import { EmptyState } from '../ui/empty-state.js';
import { ErrorState } from '../ui/error-state.js';
import { Spinner } from '../ui/spinner.js';
import { Table, type Column } from '../ui/table.js';
import { serverNow } from '../view/clock.js';
import { formatCount, formatDuration, formatRate, formatShare } from '../view/format.js';
import { setTitle } from '../view/title.js';
import { Link } from '../view/view-state.js';
import { conductOf, stragglerOf } from './conduct.js';
import { ask, useWorkers, workers, workersProblem } from './workers-store.js';
import './workers.css';

const POLL_MS = 2_000;

const states: Readonly<Record<Worker['state'], readonly [string, Tone]>> = {
  WORKER_STATE_UNSPECIFIED: ['unknown', 'neutral'],
  WORKER_STATE_IDLE: ['idle', 'neutral'],
  WORKER_STATE_BUSY: ['busy', 'active'],
  WORKER_STATE_DRAINING: ['leaving', 'warn'],
  WORKER_STATE_PUT_ASIDE: ['put aside', 'bad'],
};

/** Who is connected, what each one does, and who holds the others up. */
export default function WorkersView(): VNode {
  useWorkers(POLL_MS);
  useEffect(() => setTitle('Workers'), []);
  const list = workers.value;
  const problem = workersProblem.value;
  const now = serverNow();
  const notes = (list ?? []).flatMap((worker) => conductOf(worker, now).map((note) => ({ worker, note })));
  return (
    <>
      <div class="view-head">
        <h1>Workers</h1>
        {list && list.length > 0 && <p class="muted">{summary(list)}</p>}
      </div>
      {problem && (list === undefined ? <ErrorState error={problem} onRetry={() => void ask()} /> : <p class="notice">The list is not fresh: {problem.message}</p>)}
      {!list && !problem && <Spinner label="Loading the workers" />}
      {list?.length === 0 && (
        <EmptyState title="No worker is connected">
          <p>Runs wait until a worker comes. Start one, on this machine or another one:</p>
          <pre>
            <code>dd2 worker --coordinator HOST:PORT</code>
          </pre>
        </EmptyState>
      )}
      {list && list.length > 0 && (
        <div class="stack">
          {notes.length > 0 && (
            <ul class="notice worker-notes">
              {notes.map(({ worker, note }) => (
                <li key={`${worker.workerId} ${note}`}>
                  <strong>{worker.name}</strong> {note}
                </li>
              ))}
            </ul>
          )}
          <Table caption="Connected workers" isCards columns={columns} rows={list} rowKey={(worker) => worker.workerId} rowClass={(worker) => (conductOf(worker, now).length > 0 ? 'worker-conspicuous' : '')} />
        </div>
      )}
    </>
  );
}

function summary(list: readonly Worker[]): string {
  const busy = list.filter(({ leases }) => leases.length > 0).length;
  const rate = list.reduce((sum, worker) => sum + Number(worker.microBatchesPerSecond), 0);
  return `${list.length} connected, ${busy} with a lease, ${formatRate(rate, 'micro-batches')}`;
}

const columns: readonly Column<Worker>[] = [
  {
    key: 'name',
    label: 'Worker',
    cell: (worker) => (
      <div class="worker-name">
        <strong>{worker.name}</strong>
        <span class="muted small">{worker.host}</span>
        <span class="muted small">process {worker.processId}</span>
      </div>
    ),
  },
  {
    key: 'state',
    label: 'State',
    cell: (worker) => {
      const [word, tone] = states[worker.state];
      const straggles = stragglerOf(worker);
      return (
        <span class="row">
          <Badge tone={tone}>{word}</Badge>
          {straggles && <Badge tone="warn">straggler</Badge>}
        </span>
      );
    },
  },
  {
    key: 'device',
    label: 'Device',
    cell: (worker) => (
      <div class="worker-name">
        <span>
          {worker.provider}, {worker.intraOpThreads} {worker.intraOpThreads === 1 ? 'thread' : 'threads'}
        </span>
        <span class="muted small">
          {worker.device}
          {worker.pool === '' ? '' : `, pool ${worker.pool}`}
        </span>
      </div>
    ),
  },
  {
    key: 'leases',
    label: 'Leases held',
    class: 'worker-leases',
    cell: (worker) =>
      worker.leases.length === 0 ? (
        <span class="muted">none</span>
      ) : (
        <ul>
          {worker.leases.map((lease, index) => (
            <li key={index}>
              <Link to={`/runs/${encodeURIComponent(lease.runId)}`}>{lease.runId}</Link> {lease.program}, update {formatCount(lease.update)}, {lease.microBatches} {lease.microBatches === 1 ? 'micro-batch' : 'micro-batches'}, held{' '}
              {formatHeld(Number(lease.heldSeconds))}
              {lease.backup ? ', a backup' : ''}
            </li>
          ))}
        </ul>
      ),
  },
  { key: 'rate', label: 'Rate', isNumeric: true, title: 'Micro-batches per second over the last minute', cell: (worker) => formatRate(Number(worker.microBatchesPerSecond)) },
  { key: 'busy', label: 'Busy', isNumeric: true, title: 'Share of the last minute in which it computed', cell: (worker) => formatShare(Number(worker.busy)) },
  { key: 'done', label: 'Done', isNumeric: true, title: 'Leases done since it joined', cell: (worker) => formatCount(worker.leasesDone) },
  { key: 'failed', label: 'Failed', isNumeric: true, title: 'Leases that failed since it joined', cell: (worker) => formatCount(worker.leasesFailed) },
  { key: 'straggled', label: 'Straggled', isNumeric: true, title: 'Backup leases that others were given for its leases', cell: (worker) => formatCount(worker.straggled) },
  { key: 'heard', label: 'Last heard', isNumeric: true, cell: (worker) => <Ago at={worker.lastHeardAt} /> },
  { key: 'joined', label: 'Joined', isNumeric: true, cell: (worker) => <Ago at={worker.joinedAt} /> },
];

function formatHeld(seconds: number): string {
  return seconds < 10 ? `${seconds.toFixed(1)} s` : formatDuration(seconds);
}

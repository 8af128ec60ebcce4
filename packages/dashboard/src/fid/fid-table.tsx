import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { download, fileNameOf } from '../ui/download.js';
import { shortDuration } from '../charts/format.js';
import type { ShownRun } from '../run/shown-run.js';
import { Button } from '../ui/button.js';
import { Table, type Column } from '../ui/table.js';
import { formatCount, formatFid } from '../view/format.js';
import { confidenceOf, type FidPoint } from './fid-point.js';

interface Row {
  readonly point: FidPoint;
  readonly label: string;
  readonly samplesSeen: number | undefined;
  readonly wallSeconds: number | undefined;
}

const columns: readonly Column<Row>[] = [
  { key: 'run', label: 'Run', cell: ({ label }) => label },
  { key: 'kind', label: 'What', cell: ({ point: { kind, sampler } }) => (kind === 'periodic' ? sampler : kind === 'final' ? `${sampler}, final, fresh noise` : `${sampler}, asked for`) },
  { key: 'update', label: 'Update', cell: ({ point }) => formatCount(point.update), isNumeric: true },
  { key: 'generator', label: 'Generator updates', cell: ({ point }) => formatCount(point.generatorUpdates), isNumeric: true },
  { key: 'seen', label: 'Samples seen', cell: ({ samplesSeen }) => (samplesSeen === undefined ? '-' : formatCount(samplesSeen)), isNumeric: true },
  { key: 'wall', label: 'Wall time', cell: ({ wallSeconds }) => (wallSeconds === undefined ? '-' : shortDuration(Math.round(wallSeconds))), isNumeric: true },
  { key: 'fid', label: 'FID', cell: ({ point }) => formatFid(point.fid), isNumeric: true },
  {
    key: 'confidence',
    label: '95 % confidence',
    cell: ({ point }) => {
      const confidence = confidenceOf(point);
      return confidence ? `${formatFid(confidence.lower)} to ${formatFid(confidence.upper)}` : '-';
    },
    isNumeric: true,
  },
  { key: 'samples', label: 'Samples', cell: ({ point }) => formatCount(point.samples), isNumeric: true },
  { key: 'accuracy', label: 'Accuracy', cell: ({ point }) => (point.accuracy === undefined ? '-' : point.accuracy.toFixed(3)), isNumeric: true },
];

/** All figures behind the chart, for those who do not see it, and to copy. */
export function FidTable({ runs, csv }: { readonly runs: readonly ShownRun[]; readonly csv: () => string }): VNode {
  const [isOpen, setOpen] = useState(false);
  return (
    <details class="fid-table" onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>All measurements as a table</summary>
      {isOpen && (
        <div class="stack">
          <Table caption="Measurements of FID" columns={columns} rows={rowsOf(runs)} rowKey={({ point }) => `${point.runId}/${point.evaluationId}`} />
          <div class="row">
            <Button icon="download" onClick={() => download(fileNameOf(`fid-${runs[0]?.runId ?? ''}`, 'csv'), new Blob([csv()], { type: 'text/csv;charset=utf-8' }))}>
              Download CSV
            </Button>
            <span class="muted small">With noise seeds and the SHA-256 of the reference and the feature network</span>
          </div>
        </div>
      )}
    </details>
  );
}

function rowsOf(runs: readonly ShownRun[]): Row[] {
  return runs.flatMap(({ label, data }) => {
    const places = data.places.value;
    return data.points.value.map((point) => ({ point, label, samplesSeen: places.get(point.update)?.samples, wallSeconds: places.get(point.update)?.wallSeconds }));
  });
}

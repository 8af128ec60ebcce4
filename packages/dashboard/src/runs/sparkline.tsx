import type { VNode } from 'preact';
import type { FidPoint } from '../api/client.js';
import { formatCount, formatFid } from '../view/format.js';
import { sparklinePath } from './sparkline-path.js';

const WIDTH = 80;
const HEIGHT = 28;

/** The run's FID in small: logarithmic, with the best one marked. Its description says what it shows. */
export function Sparkline({ curve, best }: { readonly curve: readonly FidPoint[]; readonly best: number | undefined }): VNode {
  const drawn = sparklinePath(curve, WIDTH, HEIGHT);
  if (!drawn) return <span class="muted">-</span>;
  const first = curve[0];
  const last = curve[curve.length - 1];
  const label = `FID from ${formatFid(first?.fid)} at update ${formatCount(first?.update ?? 0)} to ${formatFid(last?.fid)} at update ${formatCount(last?.update ?? 0)}${best === undefined ? '' : `, best ${formatFid(best)}`}`;
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img" aria-label={label}>
      <title>{label}</title>
      <path d={drawn.path} fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" />
      <circle cx={drawn.best.x} cy={drawn.best.y} r="2.5" fill="currentColor" />
    </svg>
  );
}

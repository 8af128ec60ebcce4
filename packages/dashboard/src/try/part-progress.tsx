import type { VNode } from 'preact';
import { formatBytes } from '../view/format.js';
import type { PartState } from './studio.js';

/** How far a download is; nothing once it is ready. */
export function PartProgress({ label, part }: { readonly label: string; readonly part: PartState }): VNode | null {
  if (part.state === 'ready') return null;
  const share = part.state === 'loading' && part.total !== undefined ? part.received / part.total : part.state === 'preparing' ? 1 : undefined;
  return (
    <div class="try-part">
      <div class="try-part-label">
        <span>{label}</span>
        <span class="muted small">{textOf(part)}</span>
      </div>
      {/* Without a value the browser shows that it does not know. */}
      <progress aria-label={label} {...(share === undefined ? {} : { value: share, max: 1 })} />
    </div>
  );
}

function textOf(part: PartState): string {
  switch (part.state) {
    case 'waiting':
      return 'waiting';
    case 'loading':
      return part.total === undefined ? formatBytes(part.received) : `${formatBytes(part.received)} of ${formatBytes(part.total)}`;
    case 'preparing':
      return 'being prepared';
    case 'ready':
      return 'ready';
  }
}

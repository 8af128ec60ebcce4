import type { VNode } from 'preact';
import { useClock } from '../view/clock.js';
import { formatAgo, formatTime } from '../view/format.js';

/** How long ago; the time itself when it is pointed at. */
export function Ago({ at }: { readonly at: string | undefined }): VNode {
  const now = useClock();
  if (at === undefined || at === '') return <span>-</span>;
  return (
    <time dateTime={at} title={formatTime(at)}>
      {formatAgo(at, now.value)}
    </time>
  );
}

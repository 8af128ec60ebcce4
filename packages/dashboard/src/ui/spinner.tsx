import type { VNode } from 'preact';

/** Something is being loaded. It appears after a moment only: what comes at once needs no sign. */
export function Spinner({ label = 'Loading' }: { readonly label?: string }): VNode {
  return (
    <div class="spinner" role="status">
      <span class="spinner-sign" aria-hidden="true" />
      <span>{label} ...</span>
    </div>
  );
}

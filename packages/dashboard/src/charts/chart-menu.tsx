import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

export interface ChartMenuItem {
  readonly label: string;
  readonly onClick: () => void;
  readonly disabled?: boolean;
}

/** What else can be done with a chart, behind one button, so that a page of charts stays quick to walk through with the keyboard. */
export function ChartMenu({ title, items }: { readonly title: string; readonly items: readonly ChartMenuItem[] }): VNode {
  const details = useRef<HTMLDetailsElement>(null);
  const close = (): void => {
    if (details.current) details.current.open = false;
  };
  useEffect(() => {
    const onPointer = (event: PointerEvent): void => {
      if (details.current?.open && event.target instanceof Node && !details.current.contains(event.target)) close();
    };
    document.addEventListener('pointerdown', onPointer);
    return () => document.removeEventListener('pointerdown', onPointer);
  }, []);
  return (
    <details
      class="chart-menu"
      ref={details}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !details.current?.open) return;
        event.stopPropagation();
        close();
        details.current.querySelector('summary')?.focus();
      }}
    >
      <summary aria-label={`More for ${title}`} title="Zoom, table, downloads">
        <svg viewBox="0 0 16 16" width="16" height="16" fill="currentColor" aria-hidden="true" focusable="false">
          <circle cx="3" cy="8" r="1.5" />
          <circle cx="8" cy="8" r="1.5" />
          <circle cx="13" cy="8" r="1.5" />
        </svg>
      </summary>
      <div class="chart-menu-items">
        {items.map(({ label, onClick, disabled }) => (
          <button
            key={label}
            type="button"
            disabled={disabled ?? false}
            onClick={() => {
              close();
              onClick();
            }}
          >
            {label}
          </button>
        ))}
      </div>
    </details>
  );
}

import type { VNode } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Button } from '../ui/button.js';
import { gridImages } from './grid-images.js';
import { cellName, gridLayout, type GridLayout } from './grid-layout.js';

export interface GridPictureProps {
  readonly url: string;
  /** what the picture shows, read out */
  readonly label: string;
  /** cell under the pointer, in whatever grid */
  readonly hoveredCell: number | undefined;
  readonly selectedCell: number | undefined;
  readonly onHover: (cell: number | undefined) => void;
  readonly onSelect: (cell: number | undefined) => void;
}

/**
 * A sample grid, its pixels as they are, with its cells to point at and choose. While the picture of a new step is on its way the
 * one before stays, so that sliding does not flicker.
 */
export function GridPicture({ url, label, hoveredCell, selectedCell, onHover, onSelect }: GridPictureProps): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [layout, setLayout] = useState<GridLayout | undefined>(undefined);
  const entry = gridImages.get(url);
  const image = entry?.state === 'ready' ? entry.picture : undefined;
  useLayoutEffect(() => {
    const element = canvas.current;
    if (!element || !image) return;
    if (element.width !== image.naturalWidth || element.height !== image.naturalHeight) [element.width, element.height] = [image.naturalWidth, image.naturalHeight];
    element.getContext('2d')?.drawImage(image, 0, 0);
    element.dataset['shown'] = url;
    setLayout((before) => (before?.width === image.naturalWidth && before.height === image.naturalHeight ? before : gridLayout(image.naturalWidth, image.naturalHeight)));
  }, [image, url]);
  return (
    <div class="grid-picture" aria-busy={entry?.state !== 'ready' && entry?.state !== 'failed'}>
      <canvas ref={canvas} class="grid-canvas" width={604} height={604} role="img" aria-label={label} />
      {layout && <Cells layout={layout} hoveredCell={hoveredCell} selectedCell={selectedCell} onHover={onHover} onSelect={onSelect} />}
      {entry?.state === 'failed' && (
        <div class="grid-failed" role="alert">
          <p>This grid could not be loaded.</p>
          <Button icon="reset" onClick={() => gridImages.retry(url)}>
            Try again
          </Button>
        </div>
      )}
    </div>
  );
}

type CellsProps = Omit<GridPictureProps, 'url' | 'label'> & { readonly layout: GridLayout };

/** Buttons over the images. One of them is in the tab order; the arrow keys go from one to the next. */
function Cells({ layout, hoveredCell, selectedCell, onHover, onSelect }: CellsProps): VNode {
  const { columns, rows, width, height, step, side } = layout;
  const [focused, setFocused] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  const count = columns * rows;
  const inTabOrder = Math.min(selectedCell ?? focused, count - 1);
  const edge = (step - side) / 2;
  const move = (event: KeyboardEvent): void => {
    const at = cellOf(event.target);
    const to = at === undefined ? undefined : neighbour(event.key, at, columns, count);
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    box.current?.querySelector<HTMLElement>(`[data-cell="${to}"]`)?.focus();
  };
  return (
    <div
      ref={box}
      class="grid-cells"
      role="group"
      aria-label="Cells of the grid"
      style={{ inset: `${(edge / height) * 100}% ${(edge / width) * 100}%`, gridTemplateColumns: `repeat(${columns}, 1fr)` }}
      onPointerOver={({ target }) => onHover(cellOf(target))}
      onPointerLeave={() => onHover(undefined)}
      onFocusIn={({ target }) => {
        const cell = cellOf(target);
        if (cell !== undefined) setFocused(cell);
        if (target instanceof Element && target.matches(':focus-visible')) onHover(cell);
      }}
      onFocusOut={() => onHover(undefined)}
      onClick={({ target }) => {
        const cell = cellOf(target);
        if (cell !== undefined) onSelect(cell === selectedCell ? undefined : cell);
      }}
      onKeyDown={move}
    >
      {Array.from({ length: count }, (_, cell) => (
        <button
          key={cell}
          type="button"
          class={`grid-cell ${cell === hoveredCell ? 'is-hovered' : ''}`}
          data-cell={cell}
          tabIndex={cell === inTabOrder ? 0 : -1}
          aria-pressed={cell === selectedCell}
          aria-label={cellName(cell)}
        />
      ))}
    </div>
  );
}

function cellOf(target: EventTarget | null): number | undefined {
  const cell = target instanceof HTMLElement ? target.dataset['cell'] : undefined;
  return cell === undefined ? undefined : Number(cell);
}

/** Where a key goes from a cell; undefined for another key. It stays inside the grid. */
function neighbour(key: string, cell: number, columns: number, count: number): number | undefined {
  const column = cell % columns;
  if (key === 'ArrowRight') return column < columns - 1 ? Math.min(cell + 1, count - 1) : cell;
  if (key === 'ArrowLeft') return column > 0 ? cell - 1 : cell;
  if (key === 'ArrowDown') return cell + columns < count ? cell + columns : cell;
  if (key === 'ArrowUp') return cell - columns >= 0 ? cell - columns : cell;
  if (key === 'Home') return cell - column;
  if (key === 'End') return Math.min(cell - column + columns - 1, count - 1);
  return undefined;
}

import { useLayoutEffect, useRef } from 'preact/hooks';
import type { VNode } from 'preact';
import { cellBox, gridLayout } from './grid-layout.js';

/** One image of a grid, enlarged without smoothing. `label` is read out; nothing is while it is empty. */
export function CellPicture({ image, cell, label, class: more = '' }: { readonly image: HTMLImageElement | undefined; readonly cell: number; readonly label: string; readonly class?: string }): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const element = canvas.current;
    const layout = image && gridLayout(image.naturalWidth, image.naturalHeight);
    if (!element || !image || !layout || cell >= layout.columns * layout.rows) return;
    const { left, top, side } = cellBox(layout, cell);
    [element.width, element.height] = [side, side];
    element.getContext('2d')?.drawImage(image, left, top, side, side, 0, 0, side, side);
  }, [image, cell]);
  return <canvas ref={canvas} class={`cell-picture ${more}`} width={1} height={1} {...(label === '' ? { 'aria-hidden': true } : { role: 'img', 'aria-label': label })} />;
}

import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/** Sides of one image, in pixels. */
const SIDE = 28;

export interface ImageCanvasProps {
  /** grey values [images, 28, 28]; nothing yet when undefined */
  readonly pixels: Uint8Array | undefined;
  /** a square number */
  readonly images: number;
  readonly label: string;
}

/** Images in a square grid, pixel by pixel: the style sheet enlarges it by a whole number. */
export function ImageCanvas({ pixels, images, label }: ImageCanvasProps): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const columns = Math.round(Math.sqrt(images));
  const side = columns * SIDE;
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context) return;
    if (pixels) context.putImageData(imageDataOf(pixels, columns), 0, 0);
    else context.clearRect(0, 0, side, side);
  }, [pixels, columns, side]);
  return <canvas class="try-canvas" ref={canvas} width={side} height={side} role="img" aria-label={label} />;
}

function imageDataOf(pixels: Uint8Array, columns: number): ImageData {
  const side = columns * SIDE;
  const data = new ImageData(side, side);
  const rgba = new Uint32Array(data.data.buffer);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const image = Math.floor(y / SIDE) * columns + Math.floor(x / SIDE);
      const grey = pixels[(image * SIDE + (y % SIDE)) * SIDE + (x % SIDE)] ?? 0;
      rgba[y * side + x] = 0xff00_0000 | (grey * 0x01_0101); // alpha, blue, green, red: little-endian
    }
  }
  return data;
}

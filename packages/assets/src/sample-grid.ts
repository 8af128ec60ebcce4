import { Dd2Error, type HostTensor } from '@dd2/core';
import { encode } from 'fast-png';

export interface SampleGridOptions {
  /** pixels per image pixel, a whole number; 2 unless told */
  readonly scale?: number;
  /** pixels between the images and around the grid; 4 unless told */
  readonly border?: number;
}

/** The frame is a little lighter than the background of the images, so that every sample is seen as one. */
const FRAME = 32;
const MAX_PIXELS = 64 * 1024 * 1024;

/**
 * A grey PNG of images in rows of `columns`, in order; cells that the last row does not fill stay frame.
 * @param images [B, height, width]
 * @throws {Dd2Error} INVALID_ARGUMENT for no images, a wrong shape, or a picture of more than 64 million pixels
 */
export function encodeGridPng(images: HostTensor<'uint8'>, columns: number, { scale = 2, border = 4 }: SampleGridOptions = {}): Uint8Array {
  const [count = 0, height = 0, width = 0] = images.shape;
  requireWhole('columns', columns, 1);
  requireWhole('scale', scale, 1);
  requireWhole('border', border, 0);
  if (images.shape.length !== 3 || images.data.length === 0 || images.data.length !== count * height * width) {
    throw new Dd2Error('INVALID_ARGUMENT', `images of shape [${images.shape.join(', ')}] and ${images.data.length} bytes make no grid`, {
      field: 'images',
      remedy: 'Give a uint8 tensor [B, height, width] with at least one image',
    });
  }
  const rows = Math.ceil(count / columns);
  const stepX = width * scale + border;
  const stepY = height * scale + border;
  const picture = { width: columns * stepX + border, height: rows * stepY + border };
  if (picture.width * picture.height > MAX_PIXELS) {
    throw new Dd2Error('INVALID_ARGUMENT', `a grid of ${picture.width} x ${picture.height} pixels is too large`, { field: 'images', remedy: 'Show fewer images or use a smaller scale' });
  }
  const data = new Uint8Array(picture.width * picture.height).fill(FRAME);
  for (let image = 0; image < count; image++) {
    const left = border + (image % columns) * stepX;
    const top = border + Math.floor(image / columns) * stepY;
    for (let y = 0; y < height * scale; y++) {
      const source = (image * height + Math.floor(y / scale)) * width;
      const target = (top + y) * picture.width + left;
      for (let x = 0; x < width * scale; x++) data[target + x] = images.data[source + Math.floor(x / scale)] ?? 0;
    }
  }
  return encode({ ...picture, data, channels: 1, depth: 8 });
}

function requireWhole(field: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new Dd2Error('INVALID_ARGUMENT', `${field} is ${value}`, { field, remedy: `Use a whole number of at least ${least}` });
}

/** Dots that characters are made of: column and row count from the upper left. */
export interface Canvas {
  /** dots across and down */
  readonly width: number;
  readonly height: number;
  set(x: number, y: number, series: number): void;
  /** the character at a place and the series drawn there last; undefined for nothing */
  at(column: number, row: number): { readonly character: string; readonly series: number } | undefined;
}

/** Bit of each of the 2 x 4 dots of a braille character (Unicode block 2800), by row and column. */
const BITS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;

/** Two dots across and four down in every character. */
export function brailleCanvas(columns: number, rows: number): Canvas {
  const bits = new Uint8Array(columns * rows);
  const series = new Uint8Array(columns * rows);
  return {
    width: 2 * columns,
    height: 4 * rows,
    set: (x, y, which) => {
      const cell = (y >> 2) * columns + (x >> 1);
      bits[cell] = (bits[cell] ?? 0) | (BITS[y & 3]?.[x & 1] ?? 0);
      series[cell] = which;
    },
    at: (column, row) => {
      const cell = row * columns + column;
      return bits[cell] ? { character: String.fromCharCode(0x2800 + bits[cell]), series: series[cell] ?? 0 } : undefined;
    },
  };
}

const ASCII = ['*', 'o'] as const;

/** One dot in every character, for terminals without Unicode. */
export function asciiCanvas(columns: number, rows: number): Canvas {
  const drawn = new Int8Array(columns * rows).fill(-1);
  return {
    width: columns,
    height: rows,
    set: (x, y, which) => {
      drawn[y * columns + x] = which;
    },
    at: (column, row) => {
      const series = drawn[row * columns + column] ?? -1;
      return series < 0 ? undefined : { character: ASCII[series % ASCII.length] ?? '*', series };
    },
  };
}

/** A straight line of dots (Bresenham); every `every`-th of them. */
export function drawLine(canvas: Canvas, from: readonly [x: number, y: number], to: readonly [x: number, y: number], series: number, every = 1): void {
  let [x, y] = from;
  const [dx, dy] = [Math.abs(to[0] - x), -Math.abs(to[1] - y)];
  const [stepX, stepY] = [x < to[0] ? 1 : -1, y < to[1] ? 1 : -1];
  for (let error = dx + dy, i = 0; ; i++) {
    if (i % every === 0) canvas.set(x, y, series);
    if (x === to[0] && y === to[1]) return;
    const twice = 2 * error;
    if (twice >= dy) {
      error += dy;
      x += stepX;
    }
    if (twice <= dx) {
      error += dx;
      y += stepY;
    }
  }
}

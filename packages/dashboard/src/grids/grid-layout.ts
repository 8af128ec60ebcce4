/** Columns of every grid: one class per column. */
export const GRID_COLUMNS = 10;
/** Pixels between the images and around the grid. */
const BORDER = 4;

/** Where the images are in a grid's picture, in its pixels. Images are square. */
export interface GridLayout {
  readonly width: number;
  readonly height: number;
  readonly columns: number;
  readonly rows: number;
  /** side of one image */
  readonly side: number;
  /** from one image to the next */
  readonly step: number;
}

/** @returns undefined for a picture that is no grid */
export function gridLayout(width: number, height: number): GridLayout | undefined {
  const step = (width - BORDER) / GRID_COLUMNS;
  const rows = Math.round((height - BORDER) / step);
  if (!(step > BORDER) || rows < 1) return undefined;
  return { width, height, columns: GRID_COLUMNS, rows, side: step - BORDER, step };
}

export interface CellBox {
  readonly left: number;
  readonly top: number;
  readonly side: number;
}

/** The picture's part that shows image `cell`, counted row by row. */
export function cellBox({ columns, step, side }: GridLayout, cell: number): CellBox {
  return { left: BORDER + (cell % columns) * step, top: BORDER + Math.floor(cell / columns) * step, side };
}

/** "class 3, row 2" */
export function cellName(cell: number): string {
  return `class ${cell % GRID_COLUMNS}, row ${Math.floor(cell / GRID_COLUMNS) + 1}`;
}

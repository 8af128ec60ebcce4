import uPlot from 'uplot';
import { axisLabels } from './axis.js';
import { dashLengths } from './chart-series.js';
import { drawMark } from './draw-series.js';
import { Plot, type PlotView } from './plot.js';
import { resolveColour } from './theme-colours.js';

/** Image pixels to a CSS pixel. */
const density = 2;
const margin = 12;
const titleHeight = 24;
const legendHeight = 18;
const axisHeight = 18;

/** A chart as PNG at twice the size that it has on the page: with title, axes, their names and the legend, on the theme's background. */
export async function chartImage(title: string, view: PlotView, size: { readonly width: number; readonly height: number }): Promise<Blob> {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d');
  if (!context) throw new Error('this browser gives no canvas to draw on');
  const family = getComputedStyle(document.body).fontFamily || 'sans-serif';
  context.font = `12px ${family}`;
  const legend = legendRows(context, view, size.width);
  canvas.width = (size.width + 2 * margin) * density;
  canvas.height = (size.height + 2 * margin + titleHeight + axisHeight + legend.length * legendHeight) * density;
  context.scale(density, density);
  context.fillStyle = resolveColour('var(--surface)');
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.translate(margin, margin);
  context.fillStyle = resolveColour('var(--text)');
  context.textBaseline = 'middle';
  context.font = `600 14px ${family}`;
  context.fillText(title, 0, titleHeight / 2 - 2);

  const plotted = await renderPlot(view, size);
  context.drawImage(plotted, 0, titleHeight, size.width, size.height);

  context.font = `12px ${family}`;
  context.fillStyle = resolveColour('var(--text-muted)');
  context.textAlign = 'center';
  context.fillText(`${axisLabels[view.axis]}${view.logX ? ' (logarithmic)' : ''}`, size.width / 2, titleHeight + size.height + axisHeight / 2 - 2);
  context.textAlign = 'left';
  legend.forEach((row, index) => {
    const y = titleHeight + size.height + axisHeight + (index + 0.5) * legendHeight;
    for (const { series, left } of row) {
      const colour = resolveColour(series.colour);
      context.strokeStyle = colour;
      context.lineWidth = 2;
      context.setLineDash([...dashLengths(series.dash)]);
      if (series.stack) {
        context.fillStyle = colour;
        context.globalAlpha = 0.75;
        context.fillRect(left, y - 5, 20, 10);
        context.globalAlpha = 1;
      } else if (series.line === false) drawMark(context, series.mark ?? 'circle', left + 10, y, 7, colour);
      else {
        context.beginPath();
        context.moveTo(left, y);
        context.lineTo(left + 20, y);
        context.stroke();
      }
      context.setLineDash([]);
      context.fillStyle = resolveColour('var(--text)');
      context.fillText(series.label, left + 26, y);
    }
  });
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('this browser could not make an image'))), 'image/png');
  });
}

/** The plot without its page, magnified to the image's density whatever the screen's is. */
async function renderPlot(view: PlotView, { width, height }: { readonly width: number; readonly height: number }): Promise<HTMLCanvasElement> {
  const host = document.createElement('div');
  host.className = 'chart-offscreen';
  document.body.append(host);
  const magnify = density / uPlot.pxRatio;
  const plot = new Plot(host, { width: width * magnify, height: height * magnify }, view, undefined, magnify);
  // uPlot draws in a microtask after it was made
  await Promise.resolve();
  await Promise.resolve();
  const copy = document.createElement('canvas');
  copy.width = plot.canvas.width;
  copy.height = plot.canvas.height;
  copy.getContext('2d')?.drawImage(plot.canvas, 0, 0);
  plot.destroy();
  host.remove();
  return copy;
}

function legendRows(context: CanvasRenderingContext2D, { series }: PlotView, width: number): { readonly series: PlotView['series'][number]; readonly left: number }[][] {
  const rows: { series: PlotView['series'][number]; left: number }[][] = [];
  let left = Infinity;
  for (const one of series) {
    const needed = 26 + context.measureText(one.label).width + 16;
    if (left + needed > width) {
      rows.push([]);
      left = 0;
    }
    rows.at(-1)?.push({ series: one, left });
    left += needed;
  }
  return rows;
}

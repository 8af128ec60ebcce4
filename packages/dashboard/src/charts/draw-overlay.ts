import { dashLengths, type ChartAnnotation, type ChartMarker, type ChartReference } from './chart-series.js';
import type { Frame, ResolveColour } from './draw-series.js';
import { projection } from './projection.js';

export interface OverlayStyle {
  /** CSS font family */
  readonly family: string;
  readonly text: string;
  readonly muted: string;
  readonly background: string;
  readonly accent: string;
}

/** A rectangle of the canvas that text stands in. */
interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const labelSize = 11;

/** Draws horizontal lines to compare with; their labels stand at the right and never on each other. Returns where these stand. */
export function drawReferences(frame: Frame, references: readonly ChartReference[], style: OverlayStyle, resolve: ResolveColour): Box[] {
  const { context, left, top, width, height, unit } = frame;
  if (references.length === 0) return [];
  const projectY = projection(frame.y, top + height, top);
  const lineHeight = (labelSize + 3) * unit;
  const placed = references
    .map((reference) => ({ reference, y: projectY(reference.y) }))
    .filter(({ y }) => !Number.isNaN(y))
    .sort((a, b) => a.y - b.y);
  const inside = ({ y }: { y: number }): boolean => y >= top - 1 && y <= top + height + 1;
  context.save();
  for (const { reference, y } of placed.filter(inside)) {
    context.strokeStyle = reference.colour ? resolve(reference.colour) : style.muted;
    context.lineWidth = 1.25 * unit;
    context.setLineDash(dashLengths(reference.dash ?? [5, 4]).map((length) => length * unit));
    context.beginPath();
    context.moveTo(left, Math.round(y) + 0.5);
    context.lineTo(left + width, Math.round(y) + 0.5);
    context.stroke();
  }
  context.setLineDash([]);
  const wanted = placed.map(({ y }) => Math.min(top + height, Math.max(top, y)) - lineHeight / 2 - unit);
  const centres = spread(wanted, lineHeight, top + lineHeight / 2, top + height - lineHeight / 2);
  context.font = `${labelSize * unit}px ${style.family}`;
  context.textAlign = 'right';
  context.textBaseline = 'middle';
  const boxes = placed.map(({ reference, y }, index): Box => {
    const arrow = y < top - 1 ? ' ↑' : y > top + height + 1 ? ' ↓' : '';
    const text = `${reference.label}${arrow}`;
    const right = left + width - 4 * unit;
    const centre = centres[index] as number;
    drawText(frame, text, right, centre, reference.colour ? resolve(reference.colour) : style.text, style.background);
    return { left: right - context.measureText(text).width, right, top: centre - lineHeight / 2, bottom: centre + lineHeight / 2 };
  });
  context.restore();
  return boxes;
}

/** Draws vertical lines with their labels at the top, as far as there is room. */
export function drawMarkers(frame: Frame, markers: readonly ChartMarker[], style: OverlayStyle, resolve: ResolveColour): void {
  const { context, left, top, width, height, unit } = frame;
  const projectX = projection(frame.x, left, left + width);
  context.save();
  context.font = `${labelSize * unit}px ${style.family}`;
  context.textBaseline = 'top';
  let free = left;
  for (const marker of [...markers].sort((a, b) => a.x - b.x)) {
    const x = projectX(marker.x);
    if (!(x >= left - 1 && x <= left + width + 1)) continue;
    const colour = marker.colour ? resolve(marker.colour) : style.muted;
    context.strokeStyle = colour;
    context.lineWidth = unit;
    context.setLineDash(marker.dash === false ? [] : [2 * unit, 3 * unit]);
    context.beginPath();
    context.moveTo(Math.round(x) + 0.5, top);
    context.lineTo(Math.round(x) + 0.5, top + height);
    context.stroke();
    if (!marker.label) continue;
    const labelWidth = context.measureText(marker.label).width + 6 * unit;
    const fitsRight = x + labelWidth <= left + width;
    const start = fitsRight ? x : x - labelWidth;
    if (start < free - 1) continue;
    context.textAlign = 'left';
    drawText(frame, marker.label, start + 3 * unit, top + 2 * unit, colour, style.background);
    free = start + labelWidth;
  }
  context.restore();
}

/** Draws the line of the step that is selected, with a handle at its foot, distinct from the cursor; it leaves out the labels. */
export function drawSelected(frame: Frame, at: number, { accent }: OverlayStyle, labels: readonly Box[]): void {
  const { context, left, top, width, height, unit } = frame;
  const x = projection(frame.x, left, left + width)(at);
  if (!(x >= left - 1 && x <= left + width + 1)) return;
  context.save();
  context.strokeStyle = accent;
  context.fillStyle = accent;
  context.lineWidth = 1.5 * unit;
  context.beginPath();
  for (const [from, to] of gapless(top, top + height, labels.filter(({ left: start, right }) => start - 2 * unit <= x && x <= right + 2 * unit))) {
    context.moveTo(x, from);
    context.lineTo(x, to);
  }
  context.stroke();
  context.beginPath();
  context.moveTo(x, top + height - 6 * unit);
  context.lineTo(x + 4.5 * unit, top + height + unit);
  context.lineTo(x - 4.5 * unit, top + height + unit);
  context.fill();
  context.restore();
}

/** Draws a ring around a point with a few words beside it, where there is room beside the labels that stand already. Returns where all of them stand. */
export function drawAnnotations(frame: Frame, annotations: readonly ChartAnnotation[], style: OverlayStyle, resolve: ResolveColour, labels: readonly Box[] = []): Box[] {
  const { context, left, top, width, height, unit } = frame;
  const projectX = projection(frame.x, left, left + width);
  const projectY = projection(frame.y, top + height, top);
  const taken = [...labels];
  context.save();
  context.font = `600 ${labelSize * unit}px ${style.family}`;
  context.textBaseline = 'middle';
  context.textAlign = 'left';
  for (const annotation of annotations) {
    const x = projectX(annotation.x);
    const y = projectY(annotation.y);
    if (!(x >= left - 1 && x <= left + width + 1 && y >= top - 1 && y <= top + height + 1)) continue;
    context.strokeStyle = annotation.colour ? resolve(annotation.colour) : style.text;
    context.lineWidth = 1.5 * unit;
    context.beginPath();
    context.arc(x, y, 6.5 * unit, 0, 2 * Math.PI);
    context.stroke();
    if (annotation.label === '') continue;
    const size = { width: context.measureText(annotation.label).width, height: (labelSize + 3) * unit };
    const boxes = boxesAround(x, y, size, unit).map((box) => within(box, frame));
    const box = boxes.find((one) => !taken.some((other) => overlaps(one, other))) ?? (boxes[0]);
    if (!box) continue;
    taken.push(box);
    drawText(frame, annotation.label, box.left, (box.top + box.bottom) / 2, style.text, style.background);
  }
  context.restore();
  return taken;
}

/** What is left of the way from `top` to `bottom` between things that stand on it. */
export function gapless(top: number, bottom: number, things: readonly Pick<Box, 'top' | 'bottom'>[]): (readonly [from: number, to: number])[] {
  const parts: (readonly [number, number])[] = [];
  let from = top;
  for (const thing of [...things].sort((a, b) => a.top - b.top)) {
    if (thing.top > from) parts.push([from, Math.min(thing.top, bottom)]);
    from = Math.max(from, thing.bottom);
  }
  if (from < bottom) parts.push([from, bottom]);
  return parts;
}

/** Places for a label near a point, the best first: above, further above, below, at the left, at the right. */
function boxesAround(x: number, y: number, { width, height }: { readonly width: number; readonly height: number }, unit: number): Box[] {
  const centred = (centreX: number, centreY: number): Box => ({ left: centreX - width / 2, right: centreX + width / 2, top: centreY - height / 2, bottom: centreY + height / 2 });
  const aside = width / 2 + 12 * unit;
  return [centred(x, y - 16 * unit), centred(x, y + 16 * unit), centred(x - aside, y), centred(x + aside, y), ...[30, 44, 58, 72].map((up) => centred(x, y - up * unit))];
}

function within(box: Box, { left, top, width, height, unit }: Frame): Box {
  const byX = Math.min(0, left + width - 2 * unit - box.right) + Math.max(0, left + 2 * unit - box.left);
  const byY = Math.min(0, top + height - box.bottom) + Math.max(0, top - box.top);
  return { left: box.left + byX, right: box.right + byX, top: box.top + byY, bottom: box.bottom + byY };
}

function overlaps(one: Box, other: Box): boolean {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}

/** Text with a rim of the background's colour, so that lines behind it do not make it hard to read. */
function drawText({ context, unit }: Frame, text: string, x: number, y: number, colour: string, background: string): void {
  context.lineJoin = 'round';
  context.lineWidth = 3 * unit;
  context.strokeStyle = background;
  context.globalAlpha = 0.85;
  context.strokeText(text, x, y);
  context.globalAlpha = 1;
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

/**
 * Moves ascending places apart until each is at least `distance` from the next, within [min, max] as far as they fit, each as near
 * to where it wants to be as the others allow.
 */
export function spread(wanted: readonly number[], distance: number, min: number, max: number): number[] {
  // neighbours that are too near become a group that stands around the mean of what its members want
  const groups: { sum: number; size: number }[] = [];
  const startOf = ({ sum, size }: { sum: number; size: number }): number => {
    const start = sum / size - ((size - 1) * distance) / 2;
    return Math.max(min, Math.min(start, max - (size - 1) * distance));
  };
  for (const place of wanted) {
    let group = { sum: place, size: 1 };
    for (let previous = groups.at(-1); previous && startOf(previous) + previous.size * distance > startOf(group); previous = groups.at(-1)) {
      groups.pop();
      group = { sum: previous.sum + group.sum, size: previous.size + group.size };
    }
    groups.push(group);
  }
  return groups.flatMap((group) => Array.from({ length: group.size }, (_, index) => startOf(group) + index * distance));
}

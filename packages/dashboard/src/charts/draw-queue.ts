const waiting = new Set<() => void>();
let frame = 0;

/** Runs `draw` in the next frame, once however often it is asked for; all that wait are drawn in the same frame. */
export function requestDraw(draw: () => void): void {
  waiting.add(draw);
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    const now = [...waiting];
    waiting.clear();
    for (const one of now) one();
  });
}

export function cancelDraw(draw: () => void): void {
  waiting.delete(draw);
}

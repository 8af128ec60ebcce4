import type { VNode } from 'preact';

/** Signs on a grid of 16, drawn as lines. */
const shapes = {
  pause: 'M5 3v10M11 3v10',
  play: 'M4.5 2.5v11l8.5-5.5z',
  stop: 'M4 4h8v8H4z',
  cross: 'M4 4l8 8M12 4l-8 8',
  check: 'M3 8.5l3.5 3.5L13 4.5',
  download: 'M8 2v8M4.5 7L8 10.5 11.5 7M3 13.5h10',
  upload: 'M8 10.5V2.5M4.5 6L8 2.5 11.5 6M3 13.5h10',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  link: 'M6.5 9.5l3-3M7 4.5l1.5-1.5a2.8 2.8 0 0 1 4 4L11 8.5M9 11.5L7.5 13a2.8 2.8 0 0 1-4-4L5 7.5',
  plus: 'M8 3v10M3 8h10',
  up: 'M4 9.5L8 5.5l4 4',
  down: 'M4 6.5l4 4 4-4',
  left: 'M10 3.5L5.5 8 10 12.5',
  right: 'M6 3.5L10.5 8 6 12.5',
  sun: 'M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6M8 1.5v1.4M8 13.1v1.4M1.5 8h1.4M13.1 8h1.4M3.4 3.4l1 1M11.6 11.6l1 1M3.4 12.6l1-1M11.6 4.4l1-1',
  moon: 'M13 9.6A5.6 5.6 0 0 1 6.4 3 5.6 5.6 0 1 0 13 9.6z',
  system: 'M2 3h12v8H2zM6 13.5h4M8 11v2.5',
  search: 'M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4M10.2 10.2l3.3 3.3',
  warning: 'M8 2.5l6 11H2zM8 6.5v3.2M8 11.4v.6',
  info: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8M8 7.2v4M8 4.6v.8',
  chart: 'M2.5 2.5v11h11M5 10l2.5-3.5 2 1.5L13 4',
  compare: 'M3 3h4v10H3zM9 3h4v10H9z',
  reset: 'M3 8a5 5 0 1 0 1.6-3.7M4.5 1.8v2.7h2.7',
  file: 'M4 1.8h5.5L12.5 5v9.2H4zM9.3 1.8V5h3.2',
  image: 'M2 3h12v10H2zM2 11l3.5-3.5 3 3 2-2L14 12M10.3 5.3v.8',
  exit: 'M6.5 2.5h-4v11h4M6 8h7.5M10.5 5l3 3-3 3',
} as const;
export type IconName = keyof typeof shapes;

/** A sign beside or instead of text; it has no name of its own. */
export function Icon({ name }: { readonly name: IconName }): VNode {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
      <path d={shapes[name]} />
    </svg>
  );
}

import { h, type ComponentChildren, type VNode } from 'preact';
import type { ReadonlySignal, Signal } from '@preact/signals';
import { hrefOf, UrlState, type ParamKind, type ParamValues, type UrlHolder } from './url-state.js';

export { choice, flag, hrefOf, list, number, text, type ParamKind, type ParamValues } from './url-state.js';

const setTimer = (run: () => void, delayMs: number): (() => void) => {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};

/** Without a window (tests of other parts) the URL is nowhere, and starts at `/`. */
const nowhere: UrlHolder = { location: { pathname: '/', search: '' }, history: { pushState: () => undefined, replaceState: () => undefined }, addEventListener: () => undefined, setTimer };
const view = new UrlState(
  typeof window === 'undefined' ? nowhere : { location: window.location, history: window.history, addEventListener: (name, listener) => window.addEventListener(name, listener), setTimer },
);

/** Path of the URL. */
export const path: ReadonlySignal<string> = view.path;

/**
 * The signal of one search parameter of the URL; call it at the top of a module. Writing it changes the URL, the browser's
 * back and forward change it.
 */
export function param<T>(name: string, kind: ParamKind<T>): Signal<T> {
  return view.param(name, kind);
}

/** Goes to another place of the page. */
export function navigate(to: string, params?: ParamValues, options?: { readonly replace?: boolean }): void {
  const isElsewhere = to !== path.peek();
  view.navigate(to, params, options);
  if (isElsewhere) window.scrollTo(0, 0);
}

export interface LinkProps {
  readonly to: string;
  readonly params?: ParamValues;
  readonly class?: string;
  readonly children?: ComponentChildren;
  readonly title?: string;
  readonly id?: string;
  readonly 'aria-current'?: 'page' | undefined;
  readonly 'aria-label'?: string;
}

/** A link inside the page: a plain anchor for the keyboard, the middle button and copying, without loading the page again. */
export function Link({ to, params, children, ...rest }: LinkProps): VNode {
  return h(
    'a',
    {
      href: hrefOf(to, params),
      onClick: (event: MouseEvent) => {
        if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        navigate(to, params);
      },
      ...rest,
    },
    children,
  ) as VNode;
}

import { useEffect, useRef } from 'preact/hooks';

export interface TryKeys {
  readonly classes: number;
  readonly onClass: (label: number) => void;
  readonly onSpace: () => void;
}

/** Keys of the view, wherever the focus is: space makes images, a digit chooses a class. What has a use of its own for them keeps it. */
export function useTryKeys(keys: TryKeys): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      const { classes, onClass, onSpace } = latest.current;
      if (event.key === ' ' && !usesSpace(event.target)) {
        event.preventDefault(); // the page does not scroll
        onSpace();
      } else if (/^\d$/.test(event.key) && Number(event.key) < classes && !usesText(event.target)) onClass(Number(event.key));
    };
    document.addEventListener('keydown', press);
    return () => document.removeEventListener('keydown', press);
  }, []);
}

/** To a radio button that is chosen, space says nothing. */
function usesSpace(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('button, input:not([type="radio"]:checked), select, textarea, summary, [role="button"]') !== null;
}

/** A list of checkpoints is searched by typing. */
function usesText(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input:not([type="radio"]), select, textarea') !== null;
}

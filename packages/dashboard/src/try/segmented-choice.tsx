import type { Signal } from '@preact/signals';
import type { VNode } from 'preact';
import { useId } from 'preact/hooks';

export interface SegmentedChoiceProps<T extends string> {
  readonly label: string;
  readonly signal: Signal<T>;
  readonly choices: readonly { readonly value: NoInfer<T>; readonly label: string }[];
}

/** One of a few, side by side: radio buttons, so that the arrow keys go from one to the next. */
export function SegmentedChoice<T extends string>({ label, signal, choices }: SegmentedChoiceProps<T>): VNode {
  const name = useId();
  return (
    <fieldset>
      <legend class="field-label">{label}</legend>
      <div class="try-segments">
        {choices.map(({ value, label: text }) => (
          <label key={value}>
            <input type="radio" class="visually-hidden" name={name} checked={signal.value === value} onChange={() => (signal.value = value)} />
            <span>{text}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

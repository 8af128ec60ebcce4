import type { ComponentChildren, VNode } from 'preact';
import { useId } from 'preact/hooks';

interface Labelled {
  readonly label: string;
  /** the label is there for those who listen, not shown */
  readonly isLabelHidden?: boolean;
  readonly hint?: ComponentChildren;
  readonly disabled?: boolean;
  readonly class?: string;
}

interface FieldFrame {
  readonly id: string;
  readonly describedBy: string | undefined;
}

function Frame({ label, isLabelHidden, hint, class: more = '', id, children }: Labelled & { readonly id: string; readonly children: ComponentChildren }): VNode {
  return (
    <div class={`field ${more}`}>
      <label for={id} class={isLabelHidden ? 'visually-hidden' : 'field-label'}>
        {label}
      </label>
      {children}
      {hint !== undefined && (
        <p class="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

function useFrame(hint: ComponentChildren): FieldFrame {
  const id = useId();
  return { id, describedBy: hint === undefined ? undefined : `${id}-hint` };
}

export interface SelectProps<T extends string> extends Labelled {
  readonly value: T;
  readonly options: readonly { readonly value: T; readonly label: string }[];
  readonly onChange: (value: T) => void;
}

export function Select<T extends string>(props: SelectProps<T>): VNode {
  const { value, options, onChange, disabled = false, hint } = props;
  const { id, describedBy } = useFrame(hint);
  return (
    <Frame {...props} id={id}>
      <select
        id={id}
        value={value}
        disabled={disabled}
        aria-describedby={describedBy}
        onChange={({ currentTarget }) => {
          const chosen = options.find((option) => option.value === currentTarget.value);
          if (chosen) onChange(chosen.value);
        }}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
    </Frame>
  );
}

export interface CheckboxProps {
  readonly label: ComponentChildren;
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
  readonly disabled?: boolean;
  readonly isLabelHidden?: boolean;
}

export function Checkbox({ label, checked, onChange, disabled = false, isLabelHidden = false }: CheckboxProps): VNode {
  return (
    <label class="checkbox">
      <input type="checkbox" checked={checked} disabled={disabled} onChange={({ currentTarget }) => onChange(currentTarget.checked)} />
      <span class={isLabelHidden ? 'visually-hidden' : ''}>{label}</span>
    </label>
  );
}

export interface SliderProps extends Labelled {
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step?: number | 'any';
  /** while it is moved */
  readonly onInput: (value: number) => void;
  /** what is read out, and shown beside it */
  readonly valueText: string;
  readonly isValueHidden?: boolean;
}

/** The browser's own slider: arrow keys, page keys, home and end work. */
export function Slider(props: SliderProps): VNode {
  const { value, min, max, step = 1, onInput, valueText, isValueHidden = false, disabled = false, hint } = props;
  const { id, describedBy } = useFrame(hint);
  return (
    <Frame {...props} id={id} class={`slider ${props.class ?? ''}`}>
      <input type="range" id={id} min={min} max={max} step={step} value={value} disabled={disabled} aria-valuetext={valueText} aria-describedby={describedBy} onInput={({ currentTarget }) => onInput(currentTarget.valueAsNumber)} />
      {!isValueHidden && (
        <output for={id} class="slider-value">
          {valueText}
        </output>
      )}
    </Frame>
  );
}

export interface TextFieldProps extends Labelled {
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly type?: 'text' | 'search' | 'password' | 'number';
  readonly placeholder?: string;
  readonly error?: string | undefined;
  readonly autocomplete?: 'off' | 'current-password';
  readonly isCode?: boolean;
  readonly min?: number;
  readonly max?: number;
}

export function TextField(props: TextFieldProps): VNode {
  const { value, onInput, type = 'text', placeholder, error, disabled = false, hint, autocomplete = 'off', isCode = false, min, max } = props;
  const { id, describedBy } = useFrame(hint);
  // Preact's types take one type of input at a time; what is used here, all of these have.
  const attributes = { type } as { readonly type: 'text' };
  const described = [describedBy, error === undefined ? undefined : `${id}-error`].filter((one) => one !== undefined).join(' ');
  return (
    <Frame {...props} id={id}>
      <input
        id={id}
        {...attributes}
        class={isCode ? 'code' : ''}
        value={value}
        placeholder={placeholder}
        disabled={disabled}
        autocomplete={autocomplete}
        autocapitalize="off"
        spellcheck={false}
        min={min}
        max={max}
        aria-invalid={error !== undefined}
        aria-describedby={described === '' ? undefined : described}
        onInput={({ currentTarget }) => onInput(currentTarget.value)}
      />
      {error !== undefined && (
        <p class="field-error" id={`${id}-error`}>
          {error}
        </p>
      )}
    </Frame>
  );
}

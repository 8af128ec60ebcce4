import type { ComponentChildren, VNode } from 'preact';
import { Icon, type IconName } from './icon.js';

export interface ButtonProps {
  readonly children?: ComponentChildren;
  readonly onClick?: (event: MouseEvent) => void;
  /** what stands out: one primary button in a view */
  readonly kind?: 'plain' | 'primary' | 'danger' | 'quiet';
  readonly icon?: IconName;
  readonly disabled?: boolean;
  /** what it does is under way */
  readonly busy?: boolean;
  readonly type?: 'button' | 'submit';
  readonly title?: string;
  readonly class?: string;
  readonly 'aria-pressed'?: boolean;
  readonly 'aria-describedby'?: string;
  readonly 'aria-expanded'?: boolean;
  readonly 'aria-label'?: string;
}

export function Button({ children, kind = 'plain', icon, busy = false, disabled = false, type = 'button', class: more = '', ...rest }: ButtonProps): VNode {
  return (
    <button type={type} class={`button button-${kind} ${more}`} disabled={disabled || busy} aria-busy={busy} {...rest}>
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

/** A button with a sign only; the label is what it is called. */
export function IconButton({ label, icon, class: more = '', ...rest }: Omit<ButtonProps, 'children' | 'icon' | 'aria-label' | 'title'> & { readonly label: string; readonly icon: IconName }): VNode {
  return <Button {...rest} icon={icon} class={`icon-button ${more}`} aria-label={label} title={label} />;
}

import type { ComponentChildren, VNode } from 'preact';

/** What is said where nothing is to be seen yet, and what to do about it. */
export function EmptyState({ title, children, actions, isView = false }: { readonly title: string; /** it is all there is: its title is that of the view */ readonly isView?: boolean; readonly children?: ComponentChildren; readonly actions?: ComponentChildren }): VNode {
  return (
    <div class="state-box">
      {isView ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
      {actions !== undefined && <div class="state-actions">{actions}</div>}
    </div>
  );
}

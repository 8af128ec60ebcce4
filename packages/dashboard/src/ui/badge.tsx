import type { ComponentChildren, VNode } from 'preact';

export type Tone = 'neutral' | 'active' | 'good' | 'warn' | 'bad';

/** A word about a state. The colour says nothing that the word does not. */
export function Badge({ tone = 'neutral', children, title }: { readonly tone?: Tone; readonly children: ComponentChildren; readonly title?: string }): VNode {
  return (
    <span class={`badge badge-${tone}`} title={title}>
      <span class="badge-dot" aria-hidden="true" />
      {children}
    </span>
  );
}

import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { lineRange } from './spec-source.js';

export interface SpecEditorProps {
  readonly id: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  /** lines (from 1) that something is wrong with */
  readonly badLines: ReadonlySet<number>;
  readonly describedBy: string;
  readonly isInvalid: boolean;
  /** line to go to; a new object goes there again */
  readonly goTo: { readonly line: number } | undefined;
  readonly onFile: (file: File) => void;
}

/** A text area with numbered lines that files can be dropped on. */
export function SpecEditor({ id, value, onInput, badLines, describedBy, isInvalid, goTo, onFile }: SpecEditorProps): VNode {
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLDivElement>(null);
  const isOver = useSignal(false);
  const lines = value.split('\n').length;
  useEffect(() => {
    const element = area.current;
    if (!goTo || !element) return;
    const [start, end] = lineRange(element.value, goTo.line);
    element.focus();
    element.setSelectionRange(start, end);
    const lineHeight = Number.parseFloat(getComputedStyle(element).lineHeight);
    element.scrollTop = Math.max(0, (goTo.line - 4) * lineHeight);
  }, [goTo]);
  const scroll = (): void => {
    if (area.current && gutter.current) gutter.current.scrollTop = area.current.scrollTop;
  };
  useEffect(scroll, [value]);
  return (
    <div
      class={isOver.value ? 'spec-editor spec-editor-over' : 'spec-editor'}
      onDragOver={(event) => {
        event.preventDefault();
        isOver.value = true;
      }}
      onDragLeave={() => (isOver.value = false)}
      onDrop={(event) => {
        event.preventDefault();
        isOver.value = false;
        const file = event.dataTransfer?.files[0];
        if (file) onFile(file);
      }}
    >
      <div class="spec-gutter" ref={gutter} aria-hidden="true">
        {Array.from({ length: lines }, (_, index) => (
          <span key={index} class={badLines.has(index + 1) ? 'spec-bad-line' : ''}>
            {index + 1}
          </span>
        ))}
      </div>
      <textarea
        ref={area}
        id={id}
        class="spec-text"
        value={value}
        wrap="off"
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        aria-invalid={isInvalid}
        aria-describedby={describedBy}
        placeholder="Paste a run spec, or drop a file here"
        onInput={({ currentTarget }) => onInput(currentTarget.value)}
        onScroll={scroll}
      />
    </div>
  );
}

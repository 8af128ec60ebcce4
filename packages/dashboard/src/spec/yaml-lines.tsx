import type { VNode } from 'preact';
import { yamlTokens } from './yaml-tokens.js';

/** A line of YAML in colours. */
export function YamlLine({ line }: { readonly line: string }): VNode {
  return <>{yamlTokens(line).map(({ kind, text }, index) => (kind === undefined ? text : <span key={index} class={`yaml-${kind}`}>{text}</span>))}</>;
}

/** A document with numbered lines; the numbers are not copied with the text. */
export function YamlDocument({ text, label }: { readonly text: string; readonly label: string }): VNode {
  return (
    <div class="yaml-frame" role="region" aria-label={label} tabIndex={0}>
      <pre class="yaml">
        <code>
          {text.replace(/\n$/, '').split('\n').map((line, index) => (
            <span key={index} class="yaml-line">
              <YamlLine line={line} />
              {'\n'}
            </span>
          ))}
        </code>
      </pre>
    </div>
  );
}

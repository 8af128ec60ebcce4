import type { ComponentChildren, VNode } from 'preact';
import { Button } from './button.js';
import { Icon } from './icon.js';

/** What of an error is shown: ApiError is one, and so is the error of a run or an evaluation. */
export interface ShownError {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  readonly remedy?: string | undefined;
}

/** An error in place of what could not be shown: what is wrong, its code, what to do. */
export function ErrorState({ error, onRetry, children }: { readonly error: ShownError; readonly onRetry?: () => void; readonly children?: ComponentChildren }): VNode {
  return (
    <div class="state-box state-error" role="alert">
      <h2>
        <Icon name="warning" /> {problemOf(error)}
      </h2>
      {error.remedy !== undefined && error.remedy !== '' && <p>{sentence(error.remedy)}</p>}
      <p class="muted">
        Code <code>{error.code ?? 'INTERNAL'}</code>
      </p>
      {children}
      {onRetry && (
        <div class="state-actions">
          <Button icon="reset" onClick={onRetry}>
            Try again
          </Button>
        </div>
      )}
    </div>
  );
}

/** An error beside what is still there. */
export function ErrorNotice({ error }: { readonly error: ShownError }): VNode {
  return (
    <p class="notice notice-bad" role="alert">
      {sentence(problemOf(error))} {error.remedy !== undefined && error.remedy !== '' && sentence(error.remedy)} <code>{error.code ?? 'INTERNAL'}</code>
    </p>
  );
}

/** The problem alone: the coordinator's message ends with the remedy, which is shown on its own. */
export function problemOf({ message = 'something went wrong', remedy }: ShownError): string {
  const end = remedy === undefined || remedy === '' ? -1 : message.lastIndexOf(remedy);
  return capital(end > 0 ? message.slice(0, end).replace(/[.\s]+$/, '') : message);
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? capital(text) : `${capital(text)}.`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

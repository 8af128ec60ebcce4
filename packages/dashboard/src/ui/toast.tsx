import { signal } from '@preact/signals';
import type { VNode } from 'preact';
import { ApiError } from '../api/api-error.js';
import { IconButton } from './button.js';
import { problemOf } from './error-state.js';

interface Toast {
  readonly id: number;
  readonly kind: 'done' | 'error';
  readonly text: string;
  readonly code?: string;
  readonly remedy?: string | undefined;
}

const toasts = signal<readonly Toast[]>([]);
let nextId = 1;
const DONE_MS = 5_000;
const MOST = 4;

function add(toast: Omit<Toast, 'id'>): number {
  const id = nextId++;
  toasts.value = [...toasts.value, { ...toast, id }].slice(-MOST);
  return id;
}

function remove(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Says that something is done; goes away by itself. */
export function tellDone(text: string): void {
  const id = add({ kind: 'done', text });
  setTimeout(() => remove(id), DONE_MS);
}

/** Says what went wrong, with code and remedy; stays until it is closed. */
export function tellError(thrown: unknown): void {
  const error = ApiError.from(thrown);
  if (error.code === 'UNAUTHENTICATED') return; // the page goes to the login, which says it
  add({ kind: 'error', text: problemOf(error), code: error.code, remedy: error.remedy });
}

/** Where toasts appear; read out politely, errors at once. */
export function Toasts(): VNode {
  const done = toasts.value.filter(({ kind }) => kind === 'done');
  const errors = toasts.value.filter(({ kind }) => kind === 'error');
  return (
    <div class="toasts">
      <div role="status" aria-live="polite">
        {done.map((toast) => (
          <ToastBox key={toast.id} toast={toast} />
        ))}
      </div>
      <div role="alert" aria-live="assertive">
        {errors.map((toast) => (
          <ToastBox key={toast.id} toast={toast} />
        ))}
      </div>
    </div>
  );
}

function ToastBox({ toast }: { readonly toast: Toast }): VNode {
  return (
    <div class={`toast toast-${toast.kind}`}>
      <div class="toast-text">
        <p>{toast.text}</p>
        {toast.remedy !== undefined && <p class="toast-remedy">{toast.remedy}</p>}
        {toast.code !== undefined && (
          <p class="toast-code">
            <code>{toast.code}</code>
          </p>
        )}
      </div>
      <IconButton label="Close the message" icon="cross" kind="quiet" onClick={() => remove(toast.id)} />
    </div>
  );
}

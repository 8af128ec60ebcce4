import { useSignal, type ReadonlySignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ApiError, validateSpec, type SpecValidation } from '../api/client.js';

/** Keys are pressed faster than a spec is worth checking. */
const PAUSE_MS = 250;

export type Validation =
  | { readonly state: 'empty' | 'checking' }
  | { readonly state: 'checked'; readonly result: SpecValidation }
  /** it could not be checked */
  | { readonly state: 'failed'; readonly error: ApiError };

export interface CheckedSpec {
  readonly specYaml: string;
  readonly overrides: readonly string[];
  readonly basePath: string;
}

/** What the coordinator says about the spec, asked anew a moment after each change. An answer to what is no longer there is dropped. */
export function useValidation({ specYaml, overrides, basePath }: CheckedSpec, isSendable: boolean): ReadonlySignal<Validation> {
  const validation = useSignal<Validation>({ state: 'empty' });
  const key = JSON.stringify([specYaml, overrides, basePath]);
  useEffect(() => {
    if (specYaml.trim() === '' || !isSendable) {
      validation.value = { state: 'empty' };
      return;
    }
    validation.value = { state: 'checking' };
    const stop = new AbortController();
    const timer = setTimeout(() => {
      validateSpec({ specYaml, overrides, basePath }, { signal: stop.signal }).then(
        (result) => (validation.value = { state: 'checked', result }),
        (thrown: unknown) => {
          if (!stop.signal.aborted) validation.value = { state: 'failed', error: ApiError.from(thrown) };
        },
      );
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [key, isSendable]);
  return validation;
}

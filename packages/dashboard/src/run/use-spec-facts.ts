import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { getRunSpec } from '../api/client.js';
import { specFacts, type SpecFacts } from './spec-facts.js';

const unknown: SpecFacts = { tuneUpdates: undefined, cycle: undefined };

/** What the spec of a run says, which never changes; nothing until it is known. */
export function useSpecFacts(runId: string): SpecFacts {
  const facts = useSignal(unknown);
  useEffect(() => {
    const stop = new AbortController();
    getRunSpec(runId, { signal: stop.signal }).then(
      ({ specYaml }) => (facts.value = specFacts(specYaml)),
      () => undefined, // the page does without
    );
    return () => stop.abort();
  }, [runId]);
  return facts.value;
}

import type { VNode } from 'preact';
import type { SpecProblem } from '../api/client.js';
import { problemOf, type ShownError } from '../ui/error-state.js';
import { Icon } from '../ui/icon.js';
import { formatCount } from '../view/format.js';
import type { Validation } from './use-validation.js';

export interface SpecVerdictProps {
  readonly id: string;
  readonly validation: Validation;
  readonly tooLarge: ShownError | undefined;
  readonly onLine: (line: number) => void;
}

/** What the coordinator says about a spec: each problem leads to its line. */
export function SpecVerdict({ id, validation, tooLarge, onLine }: SpecVerdictProps): VNode {
  return (
    <section class="panel spec-verdict" id={id} aria-label="Verdict on the spec" aria-live="polite">
      {tooLarge ? <Problems problems={[{ field: '', line: 0, message: problemOf(tooLarge), remedy: tooLarge.remedy ?? '' }]} onLine={onLine} /> : <Verdict validation={validation} onLine={onLine} />}
    </section>
  );
}

function Verdict({ validation, onLine }: { readonly validation: Validation; readonly onLine: (line: number) => void }): VNode {
  switch (validation.state) {
    case 'empty':
      return <p class="muted">The spec is checked as you type.</p>;
    case 'checking':
      return <p class="muted">Checking ...</p>;
    case 'failed':
      return <Problems problems={[{ field: '', line: 0, message: `${problemOf(validation.error)} (${validation.error.code})`, remedy: validation.error.remedy ?? '' }]} onLine={onLine} title="The spec could not be checked" />;
    case 'checked': {
      const { problems, totalUpdates } = validation.result;
      if (problems.length > 0) return <Problems problems={problems} onLine={onLine} />;
      return (
        <p class="spec-good">
          <Icon name="check" /> The spec can be submitted: <strong>{formatCount(totalUpdates)} updates</strong>.
        </p>
      );
    }
  }
}

function Problems({ problems, onLine, title }: { readonly problems: readonly SpecProblem[]; readonly onLine: (line: number) => void; readonly title?: string }): VNode {
  return (
    <>
      <h2 class="spec-bad">
        <Icon name="warning" /> {title ?? `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`}
      </h2>
      <ul class="spec-problems">
        {problems.map((problem, index) => (
          <li key={index}>
            {problem.line > 0 && (
              <button type="button" class="spec-line-link" onClick={() => onLine(problem.line)}>
                Line {problem.line}
              </button>
            )}{' '}
            {problem.field !== '' && !/^line \d+$/.test(problem.field) && <code>{problem.field}</code>} {shortMessage(problem)}
            {problem.remedy !== '' && <span class="muted">. {problem.remedy}</span>}
          </li>
        ))}
      </ul>
    </>
  );
}

/** The message without field and remedy, which are shown on their own. */
function shortMessage({ message, field, remedy }: SpecProblem): string {
  const short = problemOf({ message, remedy });
  return field === '' ? short : short.replace(` (${field})`, '');
}

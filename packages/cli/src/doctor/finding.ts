import type { Style, Paint } from '../render/terminal.js';
import { printable } from '../render/text.js';

export type Status = 'ok' | 'warning' | 'problem';

/** What one check found. */
export interface Finding {
  /** what was looked at: one or two words */
  readonly check: string;
  readonly status: Status;
  /** what is there, one line */
  readonly message: string;
  /** what to do about it, when it is not ok */
  readonly remedy?: string | undefined;
  /** the figures behind it, for programs */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

export type Check = () => Promise<readonly Finding[]>;

const styles: Readonly<Record<Status, Style>> = { ok: 'green', warning: 'yellow', problem: 'red' };
const STATUS_WIDTH = 'problem'.length;
const CHECK_WIDTH = 13;

/** A finding for people: a line, and below it what to do. */
export function renderFinding({ check, status, message, remedy }: Finding, paint: Paint): string {
  const line = `${paint(styles[status], status.padEnd(STATUS_WIDTH))}  ${printable(check).padEnd(CHECK_WIDTH)}  ${printable(message)}`;
  return remedy === undefined ? line : `${line}\n${' '.repeat(STATUS_WIDTH + CHECK_WIDTH + 4)}${paint('bold', `-> ${printable(remedy)}`)}`;
}

/** `9 ok, 1 warning, 2 problems` */
export function summarize(findings: readonly Finding[]): string {
  const count = (status: Status): number => findings.filter((finding) => finding.status === status).length;
  const [warnings, problems] = [count('warning'), count('problem')];
  return [`${count('ok')} ok`, `${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`, `${problems} ${problems === 1 ? 'problem' : 'problems'}`].join(', ');
}

/** Runs checks one after the other; one that throws is a finding itself. */
export async function* runChecks(checks: Readonly<Record<string, Check>>): AsyncGenerator<Finding, void, undefined> {
  for (const [check, run] of Object.entries(checks)) {
    let findings: readonly Finding[];
    try {
      findings = await run();
    } catch (thrown) {
      findings = [{ check, status: 'problem', message: `the check itself failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`, remedy: 'Run `dd2 doctor --verbose` and report what it says' }];
    }
    yield* findings;
  }
}

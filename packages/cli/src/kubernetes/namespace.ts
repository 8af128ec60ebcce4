import { InvalidArgumentError } from 'commander';

/** A Kubernetes namespace, for commander. */
export function namespaceName(text: string): string {
  if (/^[a-z\d]([a-z\d-]{0,61}[a-z\d])?$/.test(text)) return text;
  throw new InvalidArgumentError('A namespace has lower-case letters, digits and - only.');
}

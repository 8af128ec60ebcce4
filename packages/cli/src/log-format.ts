import { Dd2Error } from '@dd2/core';

const formats = ['text', 'json'] as const;
/** `json`: a service prints nothing but JSON lines; `text`: JSON lines for its log, and text for what people read */
export type LogFormat = (typeof formats)[number];

/** What people run prints text all the same. */
const services: ReadonlySet<string> = new Set(['coordinator', 'worker', 'kubernetes bootstrap', 'kubernetes await']);

/** @param path names of commands: `kubernetes bootstrap` */
export const isService = (path: readonly string[]): boolean => services.has(path.join(' '));

/** How services of this process log. @throws {Dd2Error} INVALID_ARGUMENT */
export function logFormat(environment: NodeJS.ProcessEnv = process.env): LogFormat {
  const asked = environment['DD2_LOG_FORMAT'] ?? '';
  const format = asked === '' ? 'text' : formats.find((known) => known === asked);
  if (format !== undefined) return format;
  throw new Dd2Error('INVALID_ARGUMENT', `there is no log format "${asked}"`, { field: 'DD2_LOG_FORMAT', remedy: `Use ${formats.join(' or ')}` });
}

import pino from 'pino';
import { z } from 'zod';
import { logFormat, type LogFormat } from './log-format.js';
import type { LiveOutput } from './render/live-output.js';

const levels: Readonly<Record<number, string>> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warning', 50: 'error', 60: 'fatal' };
/** what every line carries and nobody at a terminal needs */
const hidden = new Set(['time', 'pid', 'hostname']);

/** As collectors of logs read them best. */
const words = { timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (level: string) => ({ level }) } } as const;

/** The log of a service: JSON lines on stderr; with the format `json` levels are words, and times are those of ISO 8601. */
export function serviceLogger(name: string, verbose: boolean, format: LogFormat = logFormat()): pino.Logger {
  return pino({ name, level: verbose ? 'debug' : 'info', ...(format === 'json' && words) }, pino.destination({ dest: 2, sync: true }));
}

/** The log of a service that runs inside a command: only what a person must know, as text above the status line. */
export function commandLogger(output: LiveOutput, verbose: boolean): pino.Logger {
  return pino({ level: verbose ? 'info' : 'warn' }, { write: (line: string) => output.line(toText(line)) });
}

const record = z.looseObject({ level: z.number(), msg: z.string().default(''), err: z.object({ message: z.string() }).optional() });
const field = z.union([z.string(), z.number(), z.boolean()]);

/** `warning: message: cause (run mnist-1a2b3c4d, update 12)` */
export function toText(line: string): string {
  const { level, msg, err, ...rest } = record.parse(JSON.parse(line));
  const fields = Object.entries(rest).flatMap(([key, value]) => {
    const shown = field.safeParse(value);
    return shown.success && !hidden.has(key) ? [`${key} ${shown.data}`] : [];
  });
  return `${levels[level] ?? 'note'}: ${msg}${err ? `: ${err.message}` : ''}${fields.length > 0 ? ` (${fields.join(', ')})` : ''}`;
}

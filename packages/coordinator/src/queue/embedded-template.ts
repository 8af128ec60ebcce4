import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { LATEST_SCHEMA_VERSION } from 'bullmq';
import { z } from 'zod';

/** A new database: its log in small files, since a queue writes little. */
export const initOptions = { initDbStartParams: ['--wal-segsize=1'], postgresqlconf: ['min_wal_size=2MB', 'max_wal_size=16MB'] };

/**
 * A new database as an archive beside the compiled code (from src, where tests run, as well). The build makes it, since making one takes seconds; without it
 * everything works, only slower at the first start on a data folder.
 */
export function templateFile(): string {
  const entry = createRequire(import.meta.url).resolve('@electric-sql/pglite');
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(join(dirname(entry), '../package.json'), 'utf8')));
  return join(import.meta.dirname, '../../dist/queue', `template-${version}-${LATEST_SCHEMA_VERSION}.tar.gz`);
}

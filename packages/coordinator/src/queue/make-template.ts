import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { runMigrations, type PgQueryable } from 'bullmq';
import { initOptions, templateFile } from './embedded-template.js';

/** Build step: see `templateFile`. */
const file = templateFile();
if (!existsSync(file)) {
  const database = await PGlite.create(initOptions);
  const session: PgQueryable = {
    // a query's rows are whatever the caller says they are
    query: async <R>(sql: string, parameters?: readonly unknown[]) => ({
      rows: (parameters ? (await database.query<R>(sql, [...parameters])).rows : ((await database.exec(sql)).at(-1)?.rows ?? [])) as R[],
    }),
  };
  await runMigrations(session);
  await database.exec('VACUUM');
  await database.exec('CHECKPOINT');
  const archive = await database.dumpDataDir('gzip');
  await writeFile(`${file}.new`, Buffer.from(await archive.arrayBuffer()));
  await rename(`${file}.new`, file);
  await database.close();
}

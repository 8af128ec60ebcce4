import { parentPort, workerData } from 'node:worker_threads';
import { readFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import type { EmbeddedReply, EmbeddedRequest, EmbeddedSource } from './embedded-database.js';

/**
 * The thread in which PostgreSQL runs as WebAssembly: its calls are synchronous and would hold up everything else. Queries
 * are carried out one after the other in one session.
 */
const port = parentPort;
if (!port) throw new Error('embedded-thread.ts runs in a worker thread');
const reply = (message: EmbeddedReply): void => port.postMessage(message);

const TIDY_EVERY_MS = 5 * 60_000;
const source = workerData as EmbeddedSource;
const database = await open(source);
database.onNotification((channel, payload) => reply({ event: 'notification', channel, payload }));
await database.exec(`SET search_path TO ${source.schema}`);
setInterval(() => void tidy(), TIDY_EVERY_MS).unref();
reply({ event: 'open' });

port.on('message', (request: EmbeddedRequest) => {
  void answer(request);
});

async function open({ folder, fresh, template, init }: EmbeddedSource): Promise<PGlite> {
  const where = { dataDir: folder };
  if (!fresh) return PGlite.create(where);
  const archive = await readFile(template).catch(() => undefined);
  return PGlite.create(archive === undefined ? { ...where, ...init } : { ...where, loadDataDir: new Blob([archive]) });
}

/** This PostgreSQL has no background processes that would do it: without, dead rows and the write-ahead log only grow. */
async function tidy(): Promise<void> {
  await database.exec('VACUUM').catch(() => undefined);
  await database.exec('CHECKPOINT').catch(() => undefined);
}

async function answer(request: EmbeddedRequest): Promise<void> {
  try {
    if (request.op === 'close') {
      await database.close();
      reply({ event: 'answer', id: request.id, rows: [] });
      return;
    }
    const { sql, parameters } = request;
    // several statements in one text, as migrations are, go without parameters only
    const result = parameters ? await database.query(sql, [...parameters]) : (await database.exec(sql)).at(-1);
    reply({ event: 'answer', id: request.id, rows: result?.rows ?? [] });
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const { code, detail } = error as { code?: unknown; detail?: unknown };
    reply({ event: 'error', id: request.id, message: error.message, ...(typeof code === 'string' && { code }), ...(typeof detail === 'string' && { detail }) });
  }
}

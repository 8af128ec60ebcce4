import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import { Dd2Error } from '@dd2/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { httpError } from './http-error.js';

const INDEX = 'index.html';
/** Vite puts a hash of the content into the names of these. */
const HASHED = /[\\/]assets[\\/][^\\/]+$/;
const FOREVER = 'public, max-age=31536000, immutable';

/**
 * Serves the page: its files, compressed ones where they lie beside them, and its first file for every place inside the page.
 * @param folder undefined when there is no page
 */
export async function servePage(app: FastifyInstance, folder: string | undefined): Promise<void> {
  const built = folder !== undefined && existsSync(join(folder, INDEX));
  if (built) {
    await app.register(fastifyStatic, {
      root: folder,
      preCompressed: true,
      dotfiles: 'ignore',
      cacheControl: false,
      setHeaders: (response, path) => void response.header('cache-control', HASHED.test(path) ? FOREVER : 'no-cache'),
    });
  }
  app.setNotFoundHandler((request, reply) => {
    if (built && isPlaceOfPage(request)) return reply.sendFile(INDEX);
    return sendNotFound(reply, !built && request.url === '/' ? 'the page is not built' : 'there is no such path', built ? 'Start at /' : '`npm run bootstrap` builds the page; the API is under /api/v1');
  });
}

/** Whether a browser asks for a place that only the page knows: not a file, and nothing of the interfaces. */
function isPlaceOfPage({ method, url }: FastifyRequest): boolean {
  const path = url.split('?', 1)[0] ?? url;
  return (method === 'GET' || method === 'HEAD') && !/^\/(?:api|assets|metrics|healthz|readyz)(?:\/|$)/.test(path) && !/[.%\\]|\/\//.test(path);
}

function sendNotFound(reply: FastifyReply, problem: string, remedy: string): FastifyReply {
  const { status, body } = httpError(new Dd2Error('INVALID_ARGUMENT', problem, { remedy }), 404);
  return reply.code(status).send(body);
}

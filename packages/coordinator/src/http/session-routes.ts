import { Dd2Error } from '@dd2/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { requireOwnPage, type HttpAccess } from './http-access.js';
import { API } from './routes.js';

export const SESSION_PATH = '/session';
const loginSchema = z.strictObject({ token: z.string().min(1).max(4_096) });

/** Login and logout of the page: the API token is shown once, and a cookie that scripts cannot read stands in for it from then on. */
export function serveSession(app: FastifyInstance, access: HttpAccess, tls: boolean): void {
  const cookie = { path: '/', httpOnly: true, sameSite: 'strict', secure: tls } as const;
  const path = `${API}${SESSION_PATH}`;
  const answer = (reply: FastifyReply, authenticated: boolean): FastifyReply => reply.header('cache-control', 'no-store').send({ authenticated });

  app.get(path, (request, reply) => answer(reply, access.isAuthenticated(request)));
  app.post(path, (request, reply) => {
    const session = access.login(tokenOf(request), request.ip);
    if (session) reply.setCookie(access.cookie, session.value, { ...cookie, maxAge: session.maxAgeSeconds });
    return answer(reply, true);
  });
  app.delete(path, (request, reply) => {
    if (request.cookies[access.cookie] !== undefined) requireOwnPage(request);
    access.logout(request);
    return answer(reply.clearCookie(access.cookie, cookie), false);
  });
}

/** @throws {Dd2Error} INVALID_ARGUMENT */
function tokenOf({ body }: FastifyRequest): string {
  const { success, data } = loginSchema.safeParse(body);
  if (success) return data.token;
  throw new Dd2Error('INVALID_ARGUMENT', 'this is no login', { field: 'token', remedy: 'Send {"token": "..."}' });
}

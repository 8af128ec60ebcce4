import type { Server } from '@grpc/grpc-js';
import type { Http2SecureServer, Http2Server } from 'node:http2';
import { Dd2Error } from '@dd2/core';

type CreateHttp2Server = (credentials: unknown) => Http2Server | Http2SecureServer;

/**
 * Calls `visit` with each HTTP/2 server that grpc-js makes for a server (one for each address that it binds), as it is made.
 * grpc-js 1.14 has no option for what is done there. To be called before the server is bound.
 * @throws {Dd2Error} INTERNAL when grpc-js no longer has that place
 */
export function onHttp2Server(server: Server, visit: (http2Server: Http2Server | Http2SecureServer) => void): void {
  const internals = server as unknown as { createHttp2Server?: CreateHttp2Server };
  const create = internals.createHttp2Server;
  if (typeof create !== 'function') {
    throw new Dd2Error('INTERNAL', 'this version of @grpc/grpc-js makes its HTTP/2 server elsewhere', {
      remedy: 'Install the version that packages/proto/package.json names',
    });
  }
  internals.createHttp2Server = (credentials) => {
    const http2Server = create.call(server, credentials);
    visit(http2Server);
    return http2Server;
  };
}

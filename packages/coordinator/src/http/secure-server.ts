import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TlsCertificates } from '@dd2/proto';

/** How much a client may ask for before it is known. */
const limits = {
  maxHeaderSize: 16 * 1024,
  /** milliseconds for the headers, and for the whole request */
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
} as const satisfies ServerOptions;
const MAX_HEADERS = 100;
const MAX_CONNECTIONS = 1_024;

/** milliseconds */
const HANDSHAKE_TIMEOUT = 10_000;

export interface OpenServer {
  readonly server: Server;
  /** Follows the certificates no longer. */
  readonly release: () => void;
  /** Ends all connections, those as well that have not come to a request yet: the server knows none of them before. */
  readonly disconnect: () => void;
}

/** An HTTP server, with TLS when there are certificates: new ones are taken up as they come, and clients are asked for none. */
export function createHttpServer(tls: TlsCertificates | undefined, listener: RequestListener): OpenServer {
  const secure = tls && createSecureServer({ ...limits, handshakeTimeout: HANDSHAKE_TIMEOUT }, listener);
  const server: Server = secure ?? createServer(limits, listener);
  server.maxConnections = MAX_CONNECTIONS;
  server.maxHeadersCount = MAX_HEADERS;
  const release = tls?.follow((identity) => secure?.setSecureContext(identity));
  server.prependListener('request', closeWithConnection);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const disconnect = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return { server, release: () => release?.(), disconnect };
}

/** A response that waits behind another one of its connection is not told when that ends: whoever writes to it would do so for ever. */
function closeWithConnection({ socket }: IncomingMessage, response: ServerResponse): void {
  if (response.socket !== null) return;
  socket.once('close', () => {
    if (response.closed) return;
    response.destroy();
    response.emit('close');
  });
}

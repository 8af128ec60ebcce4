import type { Server } from '@grpc/grpc-js';
import type { Http2SecureServer, Http2Server, ServerHttp2Session } from 'node:http2';
import { Dd2Error } from '@dd2/core';

/** Flow control of one connection as its server sees it, in bytes. */
export interface FlowControl {
  /** what the client may send before it must wait: per stream, and over the connection */
  readonly receive: { readonly stream: number; readonly connection: number };
  /** what this server may send before it must wait */
  readonly send: { readonly stream: number; readonly connection: number };
}

type CreateHttp2Server = (credentials: unknown) => Http2Server | Http2SecureServer;

/**
 * Raises the windows that a server grants. grpc-js 1.14 reads `grpc-node.flow_control_window` in clients only, so the
 * HTTP/2 server that it makes is reached here where it is made: the stream window goes into its settings, which open
 * every connection, and the connection's window, which no setting covers, is raised as each session starts.
 * Must be called before the server is bound. `onSession` sees every session.
 * @throws {Dd2Error} INTERNAL when grpc-js no longer has that place
 */
export function raiseServerWindows(server: Server, windowBytes: number, onSession: (session: ServerHttp2Session) => void): void {
  const internals = server as unknown as { createHttp2Server?: CreateHttp2Server };
  const create = internals.createHttp2Server;
  if (typeof create !== 'function') {
    throw new Dd2Error('INTERNAL', 'this version of @grpc/grpc-js makes its HTTP/2 server elsewhere', {
      remedy: 'Install the version that packages/proto/package.json names',
    });
  }
  internals.createHttp2Server = (credentials) => {
    const http2Server = create.call(server, credentials);
    http2Server.updateSettings({ initialWindowSize: windowBytes });
    http2Server.prependListener('session', (session: ServerHttp2Session) => {
      session.setLocalWindowSize(windowBytes);
      onSession(session);
    });
    return http2Server;
  };
}

export function flowControl(session: ServerHttp2Session): FlowControl {
  const { state, localSettings, remoteSettings } = session;
  return {
    receive: { stream: localSettings.initialWindowSize ?? 0, connection: state.effectiveLocalWindowSize ?? 0 },
    send: { stream: remoteSettings.initialWindowSize ?? 0, connection: state.remoteWindowSize ?? 0 },
  };
}

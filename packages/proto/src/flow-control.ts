import type { Http2SecureServer, Http2Server, ServerHttp2Session } from 'node:http2';

/** Flow control of one connection as its server sees it, in bytes. */
export interface FlowControl {
  /** what the client may send before it must wait: per stream, and over the connection */
  readonly receive: { readonly stream: number; readonly connection: number };
  /** what this server may send before it must wait */
  readonly send: { readonly stream: number; readonly connection: number };
}

/**
 * Raises the windows that a server grants. grpc-js 1.14 reads `grpc-node.flow_control_window` in clients only, so they are
 * raised in its HTTP/2 server: the stream window goes into the settings, which open every connection, and the connection's
 * window, which no setting covers, is raised as each session starts. To be called before the server is bound.
 */
export function raiseServerWindows(http2Server: Http2Server | Http2SecureServer, windowBytes: number): void {
  http2Server.updateSettings({ initialWindowSize: windowBytes });
  http2Server.prependListener('session', (session: ServerHttp2Session) => session.setLocalWindowSize(windowBytes));
}

export function flowControl(session: ServerHttp2Session): FlowControl {
  const { state, localSettings, remoteSettings } = session;
  return {
    receive: { stream: localSettings.initialWindowSize ?? 0, connection: state.effectiveLocalWindowSize ?? 0 },
    send: { stream: remoteSettings.initialWindowSize ?? 0, connection: state.remoteWindowSize ?? 0 },
  };
}

import { constants, type Http2SecureServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';

/** How many connections a server holds, and for how long one that has not shown yet that it may be there. */
export interface ConnectionLimits {
  /** further ones are closed as they arrive */
  readonly maxConnections: number;
  /** connections without an admitted call so far: when there are more, the oldest of them is closed */
  readonly maxUnproven: number;
  /** a connection has this long for its TLS handshake and an admitted call */
  readonly proveWithinMs: number;
}

export const CONNECTION_LIMITS: ConnectionLimits = { maxConnections: 8_192, maxUnproven: 256, proveWithinMs: 10_000 };

/** time for the answer to a refused call to arrive */
const ANSWER_MS = 1_000;

interface Unproven {
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
}

/**
 * The connections of a server. A connection is proven by its first admitted call. One that is not is the first to go, so
 * that whoever opens connections without being let in pushes out others like himself, never a worker: that one makes its
 * first call as it connects, and is proven after one round trip.
 */
export class Connections {
  readonly #sessions = new Map<string, ServerHttp2Session>();
  /** by peer, in the order of their arrival */
  readonly #unproven = new Map<string, Unproven>();

  constructor(private readonly limits: ConnectionLimits) {}

  get sessions(): Iterable<ServerHttp2Session> {
    return this.#sessions.values();
  }

  /** Keeps track of the connections of one HTTP/2 server. */
  watch(server: Http2Server | Http2SecureServer): void {
    server.maxConnections = this.limits.maxConnections;
    server.prependListener('connection', (socket: Socket) => this.#arrived(socket));
    server.prependListener('session', (session: ServerHttp2Session) => {
      const peer = peerOf(session.socket);
      this.#sessions.set(peer, session);
      session.once('close', () => this.#sessions.delete(peer));
    });
  }

  /** A call of this peer was admitted. */
  proven(peer: string): void {
    this.#forget(peer);
  }

  /** A call of this peer was refused: once it has its answer, the connection is closed, unless another one was admitted. */
  refused(peer: string): void {
    const session = this.#sessions.get(peer);
    if (!session || session.closed || !this.#unproven.has(peer)) return;
    session.close();
    // A client that does not end its side of the call would keep the connection.
    const timer = setTimeout(() => session.destroy(), ANSWER_MS).unref();
    session.once('close', () => clearTimeout(timer));
  }

  /** Ends all connections at once. */
  destroy(): void {
    for (const session of this.#sessions.values()) session.destroy(undefined, constants.NGHTTP2_CANCEL);
    for (const { socket } of this.#unproven.values()) socket.destroy();
  }

  #arrived(socket: Socket): void {
    const peer = peerOf(socket);
    const timer = setTimeout(() => socket.destroy(), this.limits.proveWithinMs).unref();
    this.#unproven.set(peer, { socket, timer });
    socket.once('close', () => this.#forget(peer));
    if (this.#unproven.size <= this.limits.maxUnproven) return;
    const [oldest] = this.#unproven;
    if (!oldest) return;
    this.#forget(oldest[0]);
    oldest[1].socket.destroy();
  }

  #forget(peer: string): void {
    clearTimeout(this.#unproven.get(peer)?.timer);
    this.#unproven.delete(peer);
  }
}

/** As grpc-js names the other side of a call. */
function peerOf(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

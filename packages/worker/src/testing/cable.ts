import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A network between a worker and a coordinator that loses what it is told to lose, without closing anything. */
export class Cable {
  /** whether bytes arrive */
  toCoordinator = true;
  toWorker = true;
  readonly #sockets: Socket[] = [];
  #dialled = 0;
  #wake: (() => void)[] = [];

  private constructor(readonly server: Server) {}

  static async between(coordinator: string): Promise<Cable> {
    const server = createServer();
    const cable = new Cable(server);
    server.on('connection', (worker) => cable.#join(worker, coordinator));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return cable;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Resolves when so many connections were made in all. */
  async dialled(times: number): Promise<void> {
    while (this.#dialled < times) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }

  #join(worker: Socket, address: string): void {
    const [host = '', port] = address.split(':');
    const coordinator = connect(Number(port), host);
    this.#sockets.push(worker, coordinator);
    worker.on('data', (data) => this.toCoordinator && coordinator.write(data));
    coordinator.on('data', (data) => this.toWorker && worker.write(data));
    for (const [one, other] of [[worker, coordinator], [coordinator, worker]] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
    this.#dialled += 1;
    for (const wake of this.#wake.splice(0)) wake();
  }
}

import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';

/** A port of 127.0.0.1 that leads to a pod, as `kubectl port-forward` makes one. */
export interface PortForward {
  readonly port: number;
  close(): void;
}

/** @param target where a connection goes, asked for each */
export async function portForward(target: () => { readonly host: string; readonly port: number }): Promise<PortForward> {
  const server = createServer((near) => {
    const far = connect(target());
    near.pipe(far).pipe(near);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
    far.on('close', () => near.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

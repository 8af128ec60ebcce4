import { connect, createServer } from 'node:net';

/**
 * A TCP proxy on 127.0.0.1 that delivers every byte `delayMs` after it came, in each direction, and is otherwise as
 * fast as memory: a long fat network. What is under way is limited by the ends' own flow control only.
 * @param {number} port where connections go
 * @param {number} delayMs one way
 * @returns {Promise<import('./delay-proxy.mjs').DelayProxy>}
 */
export async function startDelayProxy(port, delayMs) {
  const sockets = new Set();
  const server = createServer((incoming) => {
    const outgoing = connect(port, '127.0.0.1');
    for (const [from, to] of [[incoming, outgoing], [outgoing, incoming]]) {
      sockets.add(from);
      from.setNoDelay(true);
      // Timers of equal length fire in the order in which they were set, so bytes stay in order.
      from.on('data', (data) => setTimeout(() => !to.destroyed && to.write(data), delayMs));
      from.on('end', () => setTimeout(() => to.end(), delayMs));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        setTimeout(() => to.destroy(), delayMs);
      });
    }
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: server.address().port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

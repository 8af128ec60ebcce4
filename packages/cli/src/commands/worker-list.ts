import type { Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import { print, printJson, tableOptions } from '../print.js';
import { plainWorker } from '../render/plain.js';
import { dateOf } from '../render/time.js';
import { renderWorkers } from '../render/worker-table.js';
import { ifKnown, withRunClient } from '../run-client.js';

/** `dd2 worker list` */
export function workerListCommand(): Command {
  return clientCommand('list')
    .description('the workers that are connected to a coordinator: device, leases, rate, when they were last heard')
    .option('--json', 'print JSON', false)
    .addHelpText('after', '\nbusy: share of the last minute in which it computed. straggled: how often others were given a backup of its leases.\n\nExample:\n  dd2 worker list --server node-1:7070 --certs certs --token-file api')
    .action(async (_options: unknown, command: Command) => {
      // `dd2 worker` has the same connection options, and takes them wherever they stand.
      const { json, ...options } = command.optsWithGlobals<ServerOptions & { json: boolean }>();
      const [workers, now] = await withRunClient(options, (client) =>
        Promise.all([client.listWorkers({}).then((answer) => answer.workers), ifKnown(client.getCluster({})).then((cluster) => (cluster?.now === undefined ? new Date() : dateOf(cluster.now)))]),
      );
      if (json) return printJson(workers.map(plainWorker));
      if (workers.length === 0) return print('no workers; `dd2 worker --coordinator HOST:PORT` starts one');
      print(renderWorkers(workers, now, tableOptions()));
    });
}

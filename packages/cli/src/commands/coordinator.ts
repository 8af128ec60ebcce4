import { once } from 'node:events';
import { Coordinator } from '@dd2/coordinator';
import { Command } from 'commander';
import { listenForInterrupt } from '../cluster/interrupt.js';
import { wholeNumber } from '../options.js';
import { serviceLogger } from '../process-logger.js';
import { INTERRUPTED } from '../report-error.js';

/** `dd2 coordinator` */
export function coordinatorCommand(): Command {
  return new Command('coordinator')
    .description('run a coordinator: it schedules runs over the workers that dial in')
    .option('--data-dir <folder>', 'holds runs/<id>/', '.dd2')
    .option('--host <address>', 'interface to listen on', '127.0.0.1')
    .option('--port <number>', 'port to listen on; 0 picks a free one', wholeNumber(0), 7070)
    .addHelpText('after', '\nIt logs JSON lines on stderr. SIGINT or SIGTERM stops runs with a checkpoint.\n\nExample:\n  dd2 coordinator --data-dir /data --host 0.0.0.0')
    .action(async ({ dataDir, host, port }: { dataDir: string; host: string; port: number }, command: Command) => {
      const { verbose = false } = command.optsWithGlobals<{ verbose?: boolean }>();
      const interrupt = listenForInterrupt(() => process.exit(INTERRUPTED));
      const coordinator = await Coordinator.start({ dataDir, host, port, logger: serviceLogger('coordinator', verbose) });
      try {
        process.stdout.write(`coordinator at ${coordinator.address}\n`);
        if (!interrupt.signal.aborted) await once(interrupt.signal, 'abort');
      } finally {
        await coordinator.close();
        interrupt.dispose();
      }
    });
}

import { Dd2Error } from '@dd2/core';
import { Command, Option } from 'commander';
import { collect, wholeNumber } from '../options.js';
import { serviceLogger } from '../process-logger.js';

interface AwaitCommandOptions {
  readonly certs?: string;
  readonly file: readonly string[];
  readonly timeoutSeconds: number;
}

/** `dd2 kubernetes await` */
export function awaitCommand(): Command {
  return new Command('await')
    .description('in a pod: wait until the kubelet has brought certificates and files of Secrets')
    .option('--certs <folder>', 'folder with tls.crt, tls.key and ca.crt, which must be usable')
    .addOption(new Option('--file <file>', 'file that must be there and not empty; repeatable').argParser(collect).default([] as string[], 'none'))
    .option('--timeout-seconds <number>', 'give up then', wholeNumber(1), 300)
    .addHelpText('after', '\nIt is the second init container of the coordinator: Secrets that were made after the pod was started take up to two minutes to get there.\n\nExample:\n  dd2 kubernetes await --certs /run/dd2/certs --file /run/dd2/tokens/join')
    .action(async ({ certs, file: files, timeoutSeconds }: AwaitCommandOptions, command: Command) => {
      if (certs === undefined && files.length === 0) throw new Dd2Error('INVALID_ARGUMENT', 'there is nothing to wait for', { field: '--file', remedy: 'Name files with --file, or a folder with --certs' });
      const { verbose = false } = command.optsWithGlobals<{ verbose?: boolean }>();
      const { awaitFiles } = await import('../kubernetes/await-files.js');
      const logger = serviceLogger('await', verbose);
      await awaitFiles({ certs, files, timeoutMs: timeoutSeconds * 1_000, onWait: (missing) => logger.info({ missing }, `waiting for ${missing.join('; ')}`) });
      logger.info('the files are there');
    });
}

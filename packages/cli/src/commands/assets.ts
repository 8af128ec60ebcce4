import { Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import { print, printJson } from '../print.js';
import { LiveOutput } from '../render/live-output.js';
import { withRunClient } from '../run-client.js';

interface PushCommandOptions extends ServerOptions {
  readonly json: boolean;
}

/** `dd2 assets ...` */
export function assetsCommand(): Command {
  return new Command('assets').description('asset bundles of a coordinator that runs elsewhere').addCommand(pushCommand());
}

function pushCommand(): Command {
  return clientCommand('push')
    .description('send an asset bundle to the coordinator, unless it has it, and print the folder that it has there')
    .argument('<folder>', 'asset bundle on this machine')
    .option('--json', 'print JSON: folder, bytes, and whether they were sent', false)
    .addHelpText('after', '\nThe folder is for `assets:` in a run spec. `dd2 run submit` does all of this by itself.\n\nExample:\n  dd2 assets push assets/mnist --server https://dd2.example.org --token-file token')
    .action(async (folder: string, { json, ...server }: PushCommandOptions) => {
      const { pushAssets } = await import('../assets/push-assets.js');
      const pushed = await withRunClient(server, (client) => pushAssets(client, folder, new LiveOutput(process.stderr)));
      if (json) printJson(pushed);
      else print(pushed.folder);
    });
}

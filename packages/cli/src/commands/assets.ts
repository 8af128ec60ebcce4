import { Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import { findBundle } from '../assets/find-bundle.js';
import { print, printJson, tableOptions } from '../print.js';
import { renderAssets } from '../render/asset-table.js';
import { formatBytes } from '../render/format.js';
import { LiveOutput } from '../render/live-output.js';
import { plainAssets } from '../render/plain.js';
import { withRunClient } from '../run-client.js';

interface PushCommandOptions extends ServerOptions {
  readonly json: boolean;
}

/** `dd2 assets ...` */
export function assetsCommand(): Command {
  const command = new Command('assets').description('asset bundles of a coordinator that runs elsewhere');
  for (const subcommand of [pushCommand(), listCommand(), removeCommand()]) command.addCommand(subcommand);
  return command;
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

function listCommand(): Command {
  return clientCommand('list')
    .description('the asset bundles that were pushed to the coordinator, the latest first, and which runs need each')
    .option('--json', 'print JSON: every bundle, its folder there, and how many bytes another may have', false)
    .action(async ({ json, ...server }: ServerOptions & { json: boolean }) => {
      const { bundles, maxBytes } = await withRunClient(server, (client) => client.listAssets({}));
      if (json) return printJson({ bundles: bundles.map(plainAssets), maxBytes: Number(maxBytes) });
      print(bundles.length === 0 ? 'no asset bundle was pushed' : renderAssets(bundles, tableOptions()));
      print(`room for ${formatBytes(Number(maxBytes))} more`);
    });
}

function removeCommand(): Command {
  return clientCommand('remove')
    .description('remove an asset bundle that was pushed, unless a run that is not over needs it')
    .argument('<sha256>', 'its SHA-256, or the first characters of it')
    .option('--json', 'print JSON: the bundle, and how many bytes another may have', false)
    .addHelpText('after', '\nA run that failed, and an evaluation of one that is over, need it again: `dd2 assets push` brings the same bundle back.\n\nExample:\n  dd2 assets remove 3fa9c1 --server https://dd2.example.org --token-file token')
    .action(async (start: string, { json, ...server }: ServerOptions & { json: boolean }) => {
      const { bundle, maxBytes } = await withRunClient(server, async (client) => {
        const found = findBundle((await client.listAssets({})).bundles, start);
        return { bundle: found, ...(await client.removeAssets({ manifestSha256: found.manifestSha256 })) };
      });
      if (json) return printJson({ ...plainAssets(bundle), maxBytes: Number(maxBytes) });
      print(`${bundle.manifestSha256} ${bundle.name} removed (${formatBytes(Number(bundle.bytes))}); room for ${formatBytes(Number(maxBytes))} more`);
    });
}

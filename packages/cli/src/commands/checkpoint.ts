import type { Checkpoint, CheckpointVerdict } from '@dd2/proto';
import { Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import { wholeNumber } from '../options.js';
import { print, printJson, tableOptions } from '../print.js';
import { renderCheckpoints, renderVerdicts } from '../render/checkpoint-table.js';
import { plainCheckpoint } from '../render/plain.js';
import { withRunClient } from '../run-client.js';

/** A checkpoint is damaged, see `exitCodes`. */
const DAMAGED = 1;

/** `dd2 checkpoint ...` */
export function checkpointCommand(): Command {
  const command = new Command('checkpoint').description('the checkpoints of a run: what there is, and whether it is intact');
  for (const subcommand of [listCommand(), verifyCommand()]) command.addCommand(subcommand);
  return command;
}

function listCommand(): Command {
  return clientCommand('list')
    .description('the checkpoints of a run, newest first, and why each is kept')
    .argument('<run>', 'run id')
    .option('--json', 'print JSON, with every file and its SHA-256', false)
    .action(async (runId: string, { json, ...options }: ServerOptions & { json: boolean }) => {
      const checkpoints: readonly Checkpoint[] = (await withRunClient(options, (client) => client.listCheckpoints({ runId }))).checkpoints;
      if (json) return printJson(checkpoints.map(plainCheckpoint));
      print(checkpoints.length === 0 ? 'no checkpoint yet' : renderCheckpoints(checkpoints, tableOptions()));
    });
}

function verifyCommand(): Command {
  return clientCommand('verify')
    .description('read checkpoints whole and compare them with their manifests')
    .argument('<run>', 'run id')
    .option('--update <number>', 'one checkpoint (default: all)', wholeNumber(0))
    .option('--json', 'print JSON', false)
    .addHelpText('after', '\nExits with 1 when a checkpoint is damaged. A run resumes from the newest one that is intact.\n\nExample:\n  dd2 checkpoint verify mnist-1a2b3c4d')
    .action(async (runId: string, { json, update, ...options }: ServerOptions & { json: boolean; update?: number }) => {
      const { verdicts } = await withRunClient(options, (client) => client.verifyCheckpoints({ runId, ...(update === undefined ? {} : { update }) }));
      if (verdicts.some(({ intact }) => !intact)) process.exitCode = DAMAGED;
      if (json) return printJson(verdicts.map(plainVerdict));
      print(verdicts.length === 0 ? 'no checkpoint yet' : renderVerdicts(verdicts, tableOptions()));
    });
}

function plainVerdict({ update, intact, error }: CheckpointVerdict): object {
  return { update, intact, error: error && { code: error.code, message: error.message, field: error.field, remedy: error.remedy } };
}

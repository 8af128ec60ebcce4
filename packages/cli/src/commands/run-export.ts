import { Dd2Error } from '@dd2/core';
import { ExportFormat } from '@dd2/proto';
import { Option, type Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import { wholeNumber } from '../options.js';
import { print, printJson } from '../print.js';
import { receiveFile } from '../receive-file.js';
import { formatCount } from '../render/format.js';
import { withRunClient } from '../run-client.js';

interface ExportCommandOptions extends ServerOptions {
  readonly format: 'onnx' | 'safetensors';
  readonly sampler?: 'one-step' | 'teacher';
  readonly update?: number;
  readonly out?: string;
  readonly json: boolean;
}

/** `dd2 run export` */
export function exportCommand(): Command {
  return clientCommand('export')
    .description('one file that other programs read: a sampler as ONNX, or the parameters of the generator as safetensors')
    .argument('<run>', 'run id')
    .addOption(new Option('--format <name>', 'onnx: class and noise in, images out; safetensors: the averaged generator, by tensor name').choices(['onnx', 'safetensors']).default('onnx'))
    .addOption(new Option('--sampler <name>', 'of onnx: the generator in one step, or the teacher token by token (default: one-step)').choices(['one-step', 'teacher']))
    .option('--update <number>', 'checkpoint (default: the best by FID, or the newest when none is measured)', wholeNumber(0))
    .option('--out <file>', 'file to write (default: one in this folder, named after run and checkpoint)')
    .option('--json', 'print JSON: path, bytes, update', false)
    .addHelpText(
      'after',
      `
The ONNX file holds everything, tokenizer decoder included. Inputs: class, int64 [batch]; noise, standard normal float32 [batch, tokens,
dimension], or for the teacher gumbel, uniform float32 in (0, 1) [batch, tokens, vocabulary]. Outputs: images, uint8 [batch, 28, 28];
tokens, int64 [batch, tokens]. The batch is free.

Example:
  dd2 run export mnist-1a2b3c4d --out generator.onnx`,
    )
    .action(async (runId: string, { format, sampler, update, out, json, ...options }: ExportCommandOptions) => {
      if (format === 'safetensors' && sampler !== undefined) {
        throw new Dd2Error('INVALID_ARGUMENT', 'parameters have no sampler', { field: '--sampler', remedy: 'Leave it out, or say --format onnx' });
      }
      const wanted = { onnx: ExportFormat.ONNX, safetensors: ExportFormat.SAFETENSORS }[format];
      const file = await withRunClient(options, (client) => receiveFile(client.exportRun({ runId, format: wanted, sampler: sampler ?? '', ...(update === undefined ? {} : { update }) }), out));
      if (json) return printJson(file);
      print(`wrote ${file.path}: ${formatCount(file.bytes)} bytes, checkpoint ${formatCount(file.update)}`);
    });
}

import type { Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import { fidCurveOf } from '../fid-curve.js';
import { print, printJson, tableOptions } from '../print.js';
import { plotCurves } from '../render/curve-plot.js';
import { plainCheckpoint, plainRun } from '../render/plain.js';
import { describeRun } from '../render/run-details.js';
import { hasUnicode } from '../render/terminal.js';
import { findRun, ifKnown, withRunClient } from '../run-client.js';

const CURVE_COLUMNS = 72;
const CURVE_ROWS = 11;

/** `dd2 run show` */
export function showCommand(): Command {
  return clientCommand('show')
    .description('where a run stands: position in the cycle, rate, time left, checkpoints, FID curve')
    .argument('<run>', 'run id')
    .option('--json', 'print JSON: the run and its checkpoints', false)
    .action(async (runId: string, { json, ...options }: ServerOptions & { json: boolean }) => {
      const [run, evaluations, checkpoints] = await withRunClient(options, (client) =>
        Promise.all([findRun(client, runId), client.listEvaluations({ runId }).then((answer) => answer.evaluations), ifKnown(client.listCheckpoints({ runId })).then((answer) => answer?.checkpoints)]),
      );
      if (json) return printJson({ ...plainRun(run), checkpoints: checkpoints?.map(plainCheckpoint) });
      const { width = CURVE_COLUMNS, paint } = tableOptions();
      const { curve, references } = fidCurveOf(run, evaluations);
      // A single point is in the text already.
      const plot = curve.points.length < 2 ? [] : plotCurves({ curves: [curve], references, xLabel: 'updates', width: Math.min(width - 1, CURVE_COLUMNS), height: CURVE_ROWS, unicode: hasUnicode(), paint });
      print([describeRun(run, { checkpoints, paint }), ...(plot.length > 0 ? ['', ...plot] : [])].join('\n'));
    });
}

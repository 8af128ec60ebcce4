import type { GetClusterResponse } from '@dd2/proto';
import { fromStatus } from '@dd2/proto';
import type { ServerOptions } from '../connection.js';
import { dateOf } from '../render/time.js';
import { withRunClient } from '../run-client.js';
import { ownVersion } from '../versions.js';
import { compareClocks } from './clock.js';
import type { Finding } from './finding.js';

const CHECK = 'coordinator';

/** What a coordinator says of itself; the times are of this machine's clock, before and after. */
export interface ClusterAnswer {
  readonly before: number;
  readonly cluster: GetClusterResponse;
  readonly after: number;
}

async function ask(options: ServerOptions): Promise<ClusterAnswer> {
  return withRunClient(options, async (client) => {
    const before = Date.now();
    const cluster = await client.getCluster({});
    return { before, cluster, after: Date.now() };
  });
}

/**
 * Whether a coordinator answers, is of this version, and has its queues.
 * @param expected whether one was named: then it is a problem when none answers
 */
export async function checkCoordinator(options: ServerOptions, expected: boolean, get: (options: ServerOptions) => Promise<ClusterAnswer> = ask, version = ownVersion()): Promise<Finding[]> {
  let answer: ClusterAnswer;
  try {
    answer = await get(options);
  } catch (thrown) {
    const error = fromStatus(thrown);
    if (error.code === 'UNAVAILABLE' && error.field === undefined && !expected) {
      return [{ check: CHECK, status: 'ok', message: `none at ${options.server} yet; \`dd2 up\` starts one` }];
    }
    return [{ check: CHECK, status: 'problem', message: `${options.server}: ${error.message}`, remedy: error.remedy ?? 'Start one with `dd2 up`, or name another with --server', details: { code: error.code } }];
  }
  const { cluster, before, after } = answer;
  const findings: Finding[] = [];
  const where = `${options.server}, epoch ${cluster.epoch}`;
  const details = { version: cluster.version, epoch: Number(cluster.epoch), clusterId: cluster.clusterId, queueStore: cluster.queueStore, queueAvailable: cluster.queueAvailable };
  if (cluster.version === version) findings.push({ check: CHECK, status: 'ok', message: `${where}, version ${cluster.version}`, details });
  else findings.push({ check: CHECK, status: 'warning', message: `${where}: it is version ${cluster.version}, this is ${version}`, remedy: 'Use the same version on all machines: who computed what must not matter', details });
  if (!cluster.queueAvailable) {
    const remedy = cluster.queueStore === 'redis' ? 'Start Redis again; runs that are being advanced go on meanwhile' : 'Look at the log of the coordinator; started again, it makes the store anew from the run folders';
    findings.push({ check: CHECK, status: 'problem', message: `its queue store (${cluster.queueStore}) cannot be reached: nothing new is started`, remedy });
  }
  if (cluster.now !== undefined) findings.push(compareClocks(before, dateOf(cluster.now).getTime(), after));
  return findings;
}

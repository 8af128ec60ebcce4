import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { clientCommand, type ServerOptions } from '../connection.js';
import type { Check, Finding } from '../doctor/finding.js';
import { redisOptions, redisSettings, setOption, type RedisSettings } from '../options.js';
import { HTTP_PORT } from '../page.js';
import { print, printJson } from '../print.js';
import { paintFor } from '../render/terminal.js';
import { COORDINATOR_PORT } from '../server-address.js';
import { ownVersion } from '../versions.js';

interface DoctorOptions extends ServerOptions, RedisSettings {
  readonly set: readonly string[];
  readonly json: boolean;
}

/** `dd2 doctor` */
export function doctorCommand(): Command {
  const command = clientCommand('doctor')
    .description('look whether everything that dd2 needs is there and works, and say what to do about what does not')
    .argument('[spec]', 'run spec (YAML): would it run here?')
    .addOption(setOption())
    .option('--json', 'print JSON', false)
    .addHelpText(
      'after',
      `
Looks at Node.js, platform, execution providers, build, ports, disk, queue store, clock, memory; at a coordinator when one answers at
--server, at certificates with --certs, at Redis with --redis-url, at a run spec and its assets when one is named. It changes nothing.
Exit code 1 when there is a problem; warnings do not count.

Examples:
  dd2 doctor
  dd2 doctor configs/mnist.yaml
  dd2 doctor --redis-url redis://node-1:6379 --server node-1:7070 --certs certs --token-file api`,
    )
    .action(async (spec: string | undefined, options: DoctorOptions, command: Command) => {
      const { runChecks, renderFinding, summarize } = await import('../doctor/finding.js');
      const named = command.getOptionValueSource('server') !== 'default';
      const paint = paintFor(process.stdout);
      const findings: Finding[] = [];
      for await (const finding of runChecks(await allChecks(spec, options, named))) {
        findings.push(finding);
        // One at a time: some checks take seconds.
        if (!options.json) print(renderFinding(finding, paint));
      }
      const ok = findings.every(({ status }) => status !== 'problem');
      if (options.json) printJson({ version: ownVersion(), ok, findings });
      else print(`\n${summarize(findings)}`);
      if (!ok) process.exitCode = 1;
    });
  for (const option of redisOptions()) command.addOption(option);
  return command;
}

async function allChecks(spec: string | undefined, options: DoctorOptions, named: boolean): Promise<Record<string, Check>> {
  const [{ checkNode }, { checkPlatform }, { checkResources }, { checkProviders }, { checkBuild }, { checkPort }, { checkDisk }, { checkEmbeddedStore, checkRedis }, { checkClock }, { checkCertificates }, { checkCoordinator }, { checkSpec, providersOf, readSpec }, { withOwnCoordinator }] =
    await Promise.all([
      import('../doctor/node.js'),
      import('../doctor/platform.js'),
      import('../doctor/resources.js'),
      import('../doctor/providers.js'),
      import('../doctor/build.js'),
      import('../doctor/ports.js'),
      import('../doctor/disk.js'),
      import('../doctor/store.js'),
      import('../doctor/clock.js'),
      import('../doctor/certificates.js'),
      import('../doctor/coordinator.js'),
      import('../doctor/spec.js'),
      import('../doctor/own-coordinator.js'),
    ]);
  const { redisUrl, redisPasswordFile, redisCaFile, certs, dataDir, set, ...server } = withOwnCoordinator(options);
  const redis = redisSettings({ redisUrl, redisPasswordFile, redisCaFile });
  return {
    node: async () => [checkNode()],
    platform: async () => [checkPlatform()],
    resources: async () => checkResources(),
    build: async () => [checkBuild()],
    providers: async () => checkProviders({ needed: providersOf(spec === undefined ? undefined : readSpec(spec, set)) }),
    disk: async () => [await checkDisk(dataDir ?? '.dd2', dataDir !== undefined)],
    store: async () => (redis.redisUrl === undefined ? [await checkEmbeddedStore()] : checkRedis({ url: redis.redisUrl, passwordFile: redis.redisPasswordFile, caFile: redis.redisCaFile })),
    clock: async () => [await checkClock()],
    ports: async () => [await checkPort({ port: COORDINATOR_PORT, purpose: 'a coordinator', option: '--port' }), await checkPort({ port: HTTP_PORT, purpose: 'the page', option: '--http-port' })],
    ...(certs === undefined ? {} : { certificates: async () => checkCertificates(certs) }),
    coordinator: async () => checkCoordinator({ ...server, ...(certs === undefined ? {} : { certs }), ...(dataDir === undefined ? {} : { dataDir }) }, named),
    ...(spec === undefined ? {} : { spec: async () => checkSpec(spec, set, availableParallelism()) }),
  };
}

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { freePort } from './support/cluster.js';
import { eventually, metricsOf, root, runDd2, startDd2, type Dd2Process } from './support/processes.js';
import { startedProcesses } from './support/started-processes.js';

const json = { DD2_LOG_FORMAT: 'json' };
const { folder, start } = startedProcesses(json);

const LEVELS = ['debug', 'info', 'warn', 'error', 'fatal'];

/** Every line that a process has printed. */
function linesOf(process: Dd2Process): Record<string, unknown>[] {
  const output = process.output();
  expect(output.endsWith('\n'), output).toBe(true);
  return output.trim().split('\n').map((line) => {
    const parsed = JSON.parse(line) as Record<string, unknown>;
    expect(LEVELS, line).toContain(parsed['level']);
    expect(new Date(String(parsed['time'])).toISOString(), line).toBe(parsed['time']);
    expect(typeof parsed['msg'], line).toBe('string');
    return parsed;
  });
}

/** How a service ends that cannot start, and its last line. */
async function failure(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<{ readonly code: number | null; readonly line: Record<string, unknown> | undefined; readonly count: number }> {
  const process = start(args, environment);
  const code = await process.exit;
  const lines = linesOf(process);
  return { code, line: lines.at(-1), count: lines.length };
}

describe('with DD2_LOG_FORMAT=json', { timeout: 300_000 }, () => {
  it('coordinator and workers print JSON lines and nothing else, from the first to the last', async () => {
    const port = await freePort();
    const coordinator = start(['coordinator', '--data-dir', folder(), '--port', String(port)]);
    const warned = start(['worker', '--coordinator', `127.0.0.1:${port}`, '--data-dir', folder()], { NODE_OPTIONS: `--import ${new URL('support/noise.mjs', import.meta.url).href}` });
    await warned.until(/"connected"/);
    warned.child.kill('SIGUSR2');
    const submitted = await runDd2(['run', 'submit', join(root, 'configs/mnist.yaml'), '--server', `127.0.0.1:${port}`, '--data-dir', folder()]);
    expect(submitted.code).toBe(0);
    await eventually(async () => (await metricsOf(folder()).catch(() => [])).length >= 3 || undefined);
    for (const { child } of [warned, coordinator]) child.kill('SIGTERM');
    expect([await warned.exit, await coordinator.exit]).toEqual([0, 0]);
    expect(linesOf(coordinator).map(({ msg }) => msg)).toContain('the coordinator listens');
    const lines = linesOf(warned);
    expect(lines).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ level: 'info', msg: 'a line of a library' }),
        expect.objectContaining({ level: 'warn', msg: 'a complaint of a library' }),
        expect.objectContaining({ level: 'warn', warning: 'DeprecationWarning', msg: 'this will go' }),
        expect.objectContaining({ level: 'info', msg: 'connected' }),
      ]),
    );
  });

  it('what ends a service is a JSON line with code, field and remedy', async () => {
    const taken = await freePort();
    const first = start(['coordinator', '--data-dir', join(folder(), 'a'), '--port', String(taken)]);
    await eventually(() => (first.output().includes('the coordinator listens') ? true : undefined));
    const busy = await failure(['coordinator', '--data-dir', join(folder(), 'b'), '--port', String(taken)]);
    expect([busy.code, busy.line]).toEqual([5, expect.objectContaining({ level: 'error', code: 'UNAVAILABLE', retryable: true, remedy: expect.any(String) as string })]);

    expect(await failure(['worker'])).toMatchObject({ code: 2, count: 1, line: { level: 'error', code: 'INVALID_ARGUMENT', remedy: expect.stringContaining('DD2_COORDINATOR') as string } });
    expect(await failure(['worker'], { DD2_COORDINATOR: 'nowhere' })).toMatchObject({ code: 2, line: { msg: expect.stringContaining("from env 'DD2_COORDINATOR'") as string } });
    expect(await failure(['coordinator', '--no-such-option'])).toMatchObject({ code: 2, count: 1, line: { code: 'INVALID_ARGUMENT' } });
  });

  it('so is a fault that nobody foresaw', async () => {
    const process = start(['coordinator', '--data-dir', folder(), '--port', '0'], { NODE_OPTIONS: `--import ${new URL('support/fault.mjs', import.meta.url).href}` });
    await process.until(/the coordinator listens/);
    process.child.kill('SIGUSR2');
    expect(await process.exit).toBe(1);
    expect(linesOf(process).at(-1)).toMatchObject({ level: 'fatal', fault: 'TypeError', msg: 'nobody foresaw this', stack: expect.stringContaining('fault.mjs') as string });
  });

  it('what people run prints text, and an unknown format is refused', async () => {
    const list = startDd2(['run', 'list', '--server', '127.0.0.1:1', '--data-dir', folder()], json);
    expect(await list.exit).toBe(5);
    expect(list.output()).toMatch(/^error UNAVAILABLE: /);
    const help = startDd2(['worker', '--help'], json);
    expect(await help.exit).toBe(0);
    expect(help.output()).toMatch(/^Usage: dd2 worker /);
    const unknown = startDd2(['worker'], { DD2_LOG_FORMAT: 'xml' });
    expect(await unknown.exit).toBe(2);
    expect(unknown.output()).toBe('error INVALID_ARGUMENT: there is no log format "xml" (DD2_LOG_FORMAT). Use text or json\n');
  });
});

describe('settings of the environment', { timeout: 120_000 }, () => {
  it.each<[string, readonly string[], Record<string, string>]>([
    ['a number of threads', ['worker'], { DD2_THREADS: '0' }],
    ['a provider', ['worker'], { DD2_PROVIDER: 'abacus' }],
    ['a role', ['worker'], { DD2_ROLE: 'pupil' }],
    ['a time to drain', ['worker'], { DD2_DRAIN_SECONDS: 'soon' }],
    ['a port for probes', ['worker'], { DD2_HEALTH_PORT: 'x' }],
    ['a limit of leases', ['worker'], { DD2_LEASE_LIMIT_MINUTES: '0' }],
    ['a port', ['coordinator'], { DD2_PORT: 'tcp://10.0.0.1:7070' }],
    ['a number of workers', ['coordinator'], { DD2_MIN_WORKERS: '1.5' }],
    ['a number of runs', ['coordinator'], { DD2_MAX_RUNS: '-1' }],
  ])('are checked as the options are: %s', async (_what, args, environment) => {
    const process = startDd2([...args, ...(args[0] === 'worker' ? ['--coordinator', '127.0.0.1:1'] : ['--data-dir', folder()])], environment);
    expect(await process.exit).toBe(2);
    const [[name = '', value = ''] = []] = Object.entries(environment);
    expect(process.output()).toMatch(new RegExp(`^error INVALID_ARGUMENT: option .* value '${value}' from env '${name}' is invalid`));
  });

  it('start a coordinator, with what options overrule', async () => {
    const password = join(folder(), 'password');
    await writeFile(password, 'secret-word');
    const environment = { DD2_DATA_DIR: join(folder(), 'data'), DD2_HOST: '127.0.0.1', DD2_PORT: '1', DD2_BASE_PATH: root, DD2_MIN_WORKERS: '2', DD2_MAX_RUNS: '3', DD2_REDIS_URL: '', DD2_REDIS_PASSWORD_FILE: password };
    const coordinator = start(['coordinator', '--port', '0'], environment);
    await coordinator.until(/the coordinator listens/);
    expect(linesOf(coordinator).at(-1)).toMatchObject({ dataDir: join(folder(), 'data'), host: '127.0.0.1', store: 'embedded' });
    const unusable = startDd2(['coordinator', '--port', '0', '--data-dir', folder()], { DD2_REDIS_PASSWORD_FILE: password });
    expect(await unusable.exit).toBe(2);
    expect(unusable.output()).toMatch(/^error INVALID_ARGUMENT: there are files for Redis, but no address of it \(--redis-url\)/);
  });
});

/**
 * Finds podman or docker, and starts it. `node infra/docker/engine.mjs` prints what was found as JSON: the program, and the environment that it
 * needs on this machine.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isInstalled } from '../../scripts/system-packages.mjs';

export const root = path.resolve(import.meta.dirname, '../..');

/** What podman gives a container of root's by default; more than the machine's own limit is refused. */
const PODMAN_OPEN_FILES = 1_048_576;
const PODMAN_PROCESSES = 4_194_304;
/** As many as conmon, between podman and the container, leaves itself. */
const MOST_PROCESSES = 32_768;

/**
 * The container engine of this machine: `{ name, env }`, where `env` is what it needs beside the process's own environment.
 * @param {string} [wanted] podman or docker; undefined for the first of them that works
 * @throws {Error} when there is none, with what to do about it
 */
export function findEngine(wanted) {
  const reasons = [];
  for (const name of wanted === undefined ? ['podman', 'docker'] : [wanted]) {
    const probe = spawnSync(name, name === 'podman' ? ['info', '--format', 'json'] : ['version', '--format', '{{.Server.Version}}'], { encoding: 'utf8' });
    if (probe.error !== undefined) reasons.push(`${name} is not installed`);
    else if (probe.status !== 0) reasons.push(`${name} does not work: ${probe.stderr.trim().split('\n').at(-1)}`);
    else return { name, env: name === 'podman' ? podmanEnvironment(JSON.parse(probe.stdout)) : {} };
  }
  throw new Error(`there is no container engine: ${reasons.join('; ')}. Install podman (Debian: apt-get install podman buildah runc) or docker`);
}

/** Runs the engine with this terminal. @returns {Promise<number>} its exit code */
export function runEngine({ name, env }, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(name, args, { stdio: 'inherit', ...options, env: { ...process.env, ...env } });
    child.once('error', (cause) => reject(new Error(`${name} could not be started: ${cause.message}`)));
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
  });
}

/** What the engine prints, without the white space around it; undefined when it fails. */
export function askEngine({ name, env }, args) {
  const { status, stdout } = spawnSync(name, args, { encoding: 'utf8', env: { ...process.env, ...env }, maxBuffer: 64 << 20 });
  return status === 0 ? stdout.trim() : undefined;
}

/**
 * Podman's defaults ask for more than some machines give (containers in containers, small virtual machines): its limits are lowered to the
 * machine's, and control groups of version 1 are left to runc, since crun refuses some of them. The system's configuration stays as it is.
 */
function podmanEnvironment({ host }) {
  if (process.env.CONTAINERS_CONF !== undefined || host.security?.rootless === true) return {};
  const limits = lowerLimits();
  const runc = host.cgroupVersion === 'v1' && host.ociRuntime?.name === 'crun' && hasProgram('runc');
  if (limits.length === 0 && !runc) return {};
  const file = path.join(root, '.dd2/containers/containers.conf');
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(
    file,
    ['# written by infra/docker/engine.mjs', ...(limits.length === 0 ? [] : ['[containers]', `default_ulimits = ${JSON.stringify(limits)}`]), ...(runc ? ['[engine]', 'runtime = "runc"'] : []), ''].join('\n'),
  );
  return { CONTAINERS_CONF: file, ...(runc ? { BUILDAH_RUNTIME: 'runc' } : {}) };
}

/** `name=soft:hard` of each limit of this process that is below podman's default. */
function lowerLimits() {
  const table = existsSync('/proc/self/limits') ? readFileSync('/proc/self/limits', 'utf8') : '';
  const limits = [
    { name: 'nofile', pattern: /^Max open files\s+\S+\s+(\S+)/m, usual: PODMAN_OPEN_FILES, most: Infinity },
    { name: 'nproc', pattern: /^Max processes\s+\S+\s+(\S+)/m, usual: PODMAN_PROCESSES, most: MOST_PROCESSES },
  ];
  return limits.flatMap(({ name, pattern, usual, most }) => {
    const hard = Number(pattern.exec(table)?.[1]);
    const limit = Math.min(hard, most);
    return Number.isFinite(hard) && hard < usual ? [`${name}=${limit}:${limit}`] : [];
  });
}

/** Administrators' programs are not on everybody's PATH. */
export function hasProgram(name) {
  return isInstalled(name, ['/usr/sbin', '/sbin']);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    console.log(JSON.stringify(findEngine(process.argv[2])));
  } catch (error) {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
  }
}

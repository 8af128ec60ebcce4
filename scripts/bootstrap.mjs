/**
 * Everything between a fresh clone and a running command, for a machine that has Node.js and npm and nothing else:
 * `node scripts/bootstrap.mjs build | test [vitest arguments] | containers [vitest arguments] | kubernetes [vitest arguments] | quickstart [dd2 quickstart arguments]`.
 * Plain Node.js without dependencies, since it is what installs them.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { installSystemPackages } from './system-packages.mjs';
import { judge, readCounts } from './test-report.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const [command = '', ...forwarded] = process.argv.slice(2);
const seconds = {};
let child;

// npm sends on what the terminal has sent already; what runs below counts signals that arrive together once.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    if (child === undefined) process.exit(signal === 'SIGINT' ? 130 : 143);
    child.kill(signal);
  });
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
  },
);

async function main() {
  requireNode(manifest.engines.node);
  const commands = { build: prepare, test, containers, kubernetes, quickstart };
  if (!Object.hasOwn(commands, command)) {
    console.error(`usage: node scripts/bootstrap.mjs ${Object.keys(commands).join('|')} [arguments]`);
    return 2;
  }
  return commands[command]();
}

/** Installs the packages of the lock file with the pinned pnpm, and builds. */
async function prepare() {
  const pnpm = await findPnpm(manifest.packageManager);
  const installed = await stage('install', pnpm, ['install', '--frozen-lockfile', '--config.confirm-modules-purge=false']);
  if (installed !== 0) return installed;
  return stage('build', pnpm, ['run', 'build']);
}

async function quickstart() {
  const prepared = await prepare();
  if (prepared !== 0) return prepared;
  const env = { DD2_INSTALL_SECONDS: String(seconds.install), DD2_BUILD_SECONDS: String(seconds.build) };
  return stage('quickstart', [process.execPath], ['packages/cli/bin/dd2.mjs', 'quickstart', ...forwarded], env);
}

async function test() {
  const prepared = await prepare();
  if (prepared !== 0) return prepared;
  const system = await installSystemPackages(run);
  if (system !== 0) return system;
  const report = path.join(root, '.dd2', 'test-report.json');
  mkdirSync(path.dirname(report), { recursive: true });
  rmSync(report, { force: true });
  const linted = await stage('lint', [process.execPath], ['node_modules/eslint/bin/eslint.js', '.', '--max-warnings', '0']);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const tested = await stage('test', [process.execPath], ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...forwarded]);
  const problem = judge(readCounts(report), process.env.CI === 'true');
  if (problem !== undefined) console.error(`error: ${problem}`);
  return linted || tested || (problem === undefined ? 0 : 1);
}

/** Builds the images on this machine's own Node.js, whose bits are compared with those of this machine, and tests them as the manifests run them. */
async function containers() {
  const prepared = await prepare();
  if (prepared !== 0) return prepared;
  const based = await stage('base images', [process.execPath], ['infra/docker/local-base.mjs', 'podman']);
  if (based !== 0) return based;
  const base = `localhost/dd2-node-base:${process.versions.node}`;
  const built = await stage('images', [process.execPath], ['scripts/images.mjs', '--engine', 'podman', '--node-image', base]);
  if (built !== 0) return built;
  return stage('test', [process.execPath], ['node_modules/vitest/vitest.mjs', 'run', '--config', 'vitest.containers.config.ts', ...forwarded]);
}

/** Tests the manifests on the cluster of the current kubeconfig. */
async function kubernetes() {
  const prepared = await prepare();
  if (prepared !== 0) return prepared;
  return stage('test', [process.execPath], ['node_modules/vitest/vitest.mjs', 'run', '--config', 'vitest.kubernetes.config.ts', ...forwarded]);
}

/** Runs a command, prints its name and its seconds, and returns its exit code. */
async function stage(name, program, args, env = {}) {
  console.log(`\n== ${name}`);
  const start = performance.now();
  const code = await run(program, args, env);
  seconds[name] = Math.round((performance.now() - start) / 100) / 10;
  console.log(`== ${name}: ${code === 0 ? 'done' : `failed (exit code ${code})`} in ${seconds[name].toFixed(1)} s`);
  return code;
}

/** Resolves with the exit code; 128 + signal number for a child that a signal ended. */
function run([program, ...first], args, env = {}) {
  return new Promise((resolve, reject) => {
    // On Windows npm's programs are .cmd files, which only a shell starts.
    const shell = process.platform === 'win32' && program !== process.execPath;
    child = spawn(program, [...first, ...args], { cwd: root, stdio: 'inherit', shell, env: { ...process.env, ...env } });
    child.once('error', (cause) => reject(new Error(`${program} could not be started: ${cause.message}`)));
    child.once('close', (code, signal) => {
      child = undefined;
      resolve(code ?? (signal === 'SIGINT' ? 130 : 143));
    });
  });
}

/** The command line of the pinned pnpm: an installed one of that very version, else npm fetches it. */
async function findPnpm(pinned) {
  const version = pinned.slice(pinned.indexOf('@') + 1).split('+')[0];
  const installed = await new Promise((resolve) => {
    const probe = spawn('pnpm', ['--version'], { cwd: root, stdio: ['ignore', 'pipe', 'ignore'], shell: process.platform === 'win32' });
    let output = '';
    probe.stdout.on('data', (data) => (output += data));
    probe.once('error', () => resolve(undefined));
    probe.once('close', () => resolve(output.trim()));
  });
  return installed === version ? ['pnpm'] : ['npx', '--yes', `pnpm@${version}`];
}

function requireNode(range) {
  const minimum = range.replace('>=', '');
  const [major, minor] = minimum.split('.').map(Number);
  const [ownMajor, ownMinor] = process.versions.node.split('.').map(Number);
  if (ownMajor > major || (ownMajor === major && ownMinor >= minor)) return;
  throw new Error(`dd2 needs Node.js ${minimum} or newer, this is ${process.versions.node}. Install a newer one, for example from https://nodejs.org`);
}

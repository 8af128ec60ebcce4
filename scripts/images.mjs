/**
 * Builds the images of infra/docker/Dockerfile with podman or docker: `npm run images -- --help`.
 * Plain Node.js without dependencies: the images are built of the sources, nothing needs to be installed here.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { askEngine, findEngine, root, runEngine } from '../infra/docker/engine.mjs';

const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

const USAGE = `usage: npm run images -- [options]

Builds localhost/dd2:${version}, and with --gpu localhost/dd2-gpu:${version} too.

  --gpu                   build the image for workers on NVIDIA devices as well (linux/amd64)
  --only <dd2|dd2-gpu>    build this one only
  --registry <name>       name the images <name>/dd2 and <name>/dd2-gpu, for example registry.example.org/me (default: localhost)
  --tag <tag>             (default: ${version})
  --push                  push them to the registry
  --platform <os/arch>    for other machines than this one; several with commas: they need --push
  --engine <name>         podman or docker (default: the first of them that works)
  --node-image <image>    base with Node.js 20.19 or newer (default: the one that the Dockerfile pins)
  --cuda-image <image>    base with CUDA 13 and cuDNN 9 (default: the one that the Dockerfile pins)
  --npm-registry <url>    (default: the one that npm uses on this machine)
  --npmrc <file>          .npmrc with a token for that registry; it stays in no layer
  --ca <file>             certificates of the authorities of a proxy (default: NODE_EXTRA_CA_CERTS); they stay in no layer
  --network <mode>        network of the build's steps, for example host
  --no-cache              repeat every step

Without a registry within reach, \`sudo node infra/docker/local-base.mjs\` makes a base of this machine for --node-image.`;

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
  const options = readOptions();
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  const engine = findEngine(options.engine);
  const images = (options.only === undefined ? ['dd2', ...(options.gpu ? ['dd2-gpu'] : [])] : [options.only]).map((target) => ({ target, name: `${options.registry}/${target}` }));
  for (const { target, name } of images) {
    const reference = `${name}:${options.tag}`;
    console.log(`\n== ${reference}, with ${engine.name}`);
    const code = await build(engine, target, reference, options);
    if (code !== 0) throw new Error(`${reference} was not built: ${engine.name} failed with exit code ${code}, and its last lines above say why`);
  }
  console.log('');
  for (const { name } of images) describe(engine, `${name}:${options.tag}`);
  console.log(`\nIn the kustomization.yaml that uses infra/k8s:\n\nimages:\n${images.map(({ target, name }) => `  - name: localhost/${target}\n    newName: ${name}\n    newTag: "${options.tag}"`).join('\n')}`);
  return 0;
}

async function build(engine, target, reference, options) {
  const platforms = options.platform?.split(',') ?? [];
  const args = [
    ...['--file', path.join(root, 'infra/docker/Dockerfile'), '--target', target],
    ...(platforms.length === 0 ? [] : ['--platform', platforms.join(',')]),
    ...(options.network === undefined ? [] : ['--network', options.network]),
    ...(options['no-cache'] ? ['--no-cache'] : []),
    ...secret('ca', options.ca ?? process.env.NODE_EXTRA_CA_CERTS),
    ...secret('npmrc', options.npmrc),
    ...buildArg('NODE_IMAGE', options['node-image']),
    ...buildArg('CUDA_IMAGE', options['cuda-image']),
    ...buildArg('NPM_REGISTRY', options['npm-registry'] ?? ownRegistry()),
    ...buildArg('VERSION', version),
    ...buildArg('REVISION', revision()),
  ];
  const several = platforms.length > 1;
  if (engine.name === 'docker' && several) return runEngine(engine, ['buildx', 'build', ...args, '--tag', reference, '--push', root]);
  if (several) askEngine(engine, ['manifest', 'rm', reference]);
  const built = await runEngine(engine, ['build', ...args, several ? '--manifest' : '--tag', reference, root]);
  if (built !== 0 || !options.push) return built;
  return runEngine(engine, several ? ['manifest', 'push', '--all', reference, `docker://${reference}`] : ['push', reference]);
}

function describe(engine, reference) {
  const bytes = Number(askEngine(engine, ['image', 'inspect', '--format', '{{.Size}}', reference]));
  console.log(Number.isFinite(bytes) && bytes > 0 ? `${reference}: ${(bytes / 1e6).toFixed(0)} MB` : reference);
  const layers = askEngine(engine, ['history', '--no-trunc', '--format', '{{.Size}}\t{{.CreatedBy}}', reference]) ?? '';
  for (const line of layers.split('\n').filter((line) => /^\d+(?:\.\d+)? ?[MG]B\t/.test(line))) {
    const [size = '', step = ''] = line.split('\t');
    console.log(`  ${size.padStart(8)}  ${step.replace(/^\/bin\/sh -c (?:#\(nop\) )?/, '').slice(0, 100)}`);
  }
}

function readOptions() {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  const { values } = parseArgs({
    options: {
      gpu: flag, push: flag, help: { ...flag, short: 'h' }, 'no-cache': flag,
      only: text, tag: { ...text, default: version }, registry: { ...text, default: 'localhost' }, platform: text, engine: text, network: text,
      'node-image': text, 'cuda-image': text, 'npm-registry': text, npmrc: text, ca: text,
    },
  });
  const problem = problemOf(values);
  if (problem !== undefined) throw new Error(`${problem}. \`npm run images -- --help\` tells more`);
  return { ...values, registry: values.registry.replace(/\/+$/, '') };
}

function problemOf({ only, engine, registry, push, platform, tag, npmrc, ca, 'npm-registry': npmRegistry }) {
  if (only !== undefined && !['dd2', 'dd2-gpu'].includes(only)) return `--only is dd2 or dd2-gpu, not ${only}`;
  if (engine !== undefined && !['podman', 'docker'].includes(engine)) return `--engine is podman or docker, not ${engine}`;
  if (!/^[\w][\w.-]{0,127}$/.test(tag)) return `"${tag}" is no tag of an image`;
  if (/^\w+:\/\//.test(registry) || /[A-Z\s@]/.test(registry) || registry === '') return `--registry is a name such as registry.example.org/me, not "${registry}"`;
  if (push && registry === 'localhost') return '--push needs a --registry to push to';
  if (platform?.includes(',') && !push) return 'images for several platforms need --push: they are put together in a registry';
  if (npmRegistry !== undefined && (!URL.canParse(npmRegistry) || new URL(npmRegistry).username !== '')) return '--npm-registry is a URL without a password; a token is for --npmrc';
  const absent = [npmrc, ca].find((file) => file !== undefined && !existsSync(file));
  return absent === undefined ? undefined : `there is no file ${absent}`;
}

function secret(id, file) {
  return file === undefined || !existsSync(file) ? [] : ['--secret', `id=${id},src=${path.resolve(file)}`];
}

function buildArg(name, value) {
  return value === undefined || value === '' ? [] : ['--build-arg', `${name}=${value}`];
}

/** The registry that npm uses on this machine; undefined where it has none to tell. */
function ownRegistry() {
  const registry = ask('npm', ['config', 'get', 'registry']);
  // With a password in it, it would be in the history of the build: --npmrc is for that.
  const named = URL.canParse(registry) && new URL(registry);
  return named && named.username === '' && named.password === '' ? registry : undefined;
}

/** The commit, and whether there are changes beside it; undefined without git. */
function revision() {
  const commit = ask('git', ['rev-parse', 'HEAD']);
  if (commit === '') return undefined;
  return ask('git', ['status', '--porcelain']) === '' ? commit : `${commit}-modified`;
}

function ask(program, args) {
  try {
    return execFileSync(program, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], shell: process.platform === 'win32' }).trim();
  } catch {
    return '';
  }
}

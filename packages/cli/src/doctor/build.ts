import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pageFolder } from '../page.js';
import type { Finding } from './finding.js';

/** Folders with what the build makes. */
export interface BuiltFolders {
  /** of the engine: WebAssembly kernels */
  readonly engine: string;
  /** of the coordinator's queue: template of the embedded store */
  readonly queue: string;
  /** the page, as a coordinator serves it */
  readonly page: string;
}

const require = createRequire(import.meta.url);

export function builtFolders(): BuiltFolders {
  return {
    engine: path.dirname(require.resolve('@dd2/engine')),
    queue: path.join(path.dirname(require.resolve('@dd2/coordinator')), 'queue'),
    page: pageFolder(),
  };
}

const REBUILD = 'Run `npm run bootstrap` in the repository; an image that lacks it must be built again';

/** Whether the build is complete. Without the template and the page everything else works. */
export function checkBuild({ engine, queue, page }: BuiltFolders = builtFolders()): Finding {
  const missing = [
    { what: 'the WebAssembly kernels', needed: true, there: existsSync(path.join(engine, 'kernels.wasm')) },
    { what: 'the template of the embedded queue store (the first start takes seconds longer)', needed: false, there: namesIn(queue).some((name) => /^template-.*\.tar\.gz$/.test(name)) },
    { what: 'the page', needed: false, there: existsSync(path.join(page, 'index.html')) },
  ].filter(({ there }) => !there);
  if (missing.length === 0) return { check: 'build', status: 'ok', message: 'complete: kernels, queue template, page' };
  return { check: 'build', status: missing.some(({ needed }) => needed) ? 'problem' : 'warning', message: `not built: ${missing.map(({ what }) => what).join(', ')}`, remedy: REBUILD };
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

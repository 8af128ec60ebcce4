import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

/** Files from this size on, ONNX Runtime, would take longer to compress as small as it gets than everything else takes to build. */
const LARGE_BYTES = 1024 * 1024;

/** Compresses the page once, when it is built; the coordinator only picks what a browser takes. */
function compressed(): Plugin {
  const smaller: readonly (readonly [string, (content: Buffer) => Promise<Buffer>])[] = [
    ['.br', (content) => promisify(brotliCompress)(content, { params: { [constants.BROTLI_PARAM_QUALITY]: content.length < LARGE_BYTES ? 11 : 5, [constants.BROTLI_PARAM_SIZE_HINT]: content.length } })],
    ['.gz', (content) => promisify(gzip)(content, { level: content.length < LARGE_BYTES ? 9 : 6 })],
  ];
  let folder = '';
  return {
    name: 'dd2:compressed',
    apply: 'build',
    enforce: 'post',
    configResolved({ root, build }) {
      folder = resolve(root, build.outDir);
    },
    async closeBundle() {
      const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((file) => file.isFile() && /\.(?:js|mjs|css|html|svg|json|wasm)$/.test(file.name));
      for (const file of files) {
        const path = join(file.parentPath, file.name);
        const content = await readFile(path);
        for (const [ending, compress] of smaller) {
          const small = await compress(content);
          if (small.length < content.length) await writeFile(`${path}${ending}`, small);
        }
      }
    },
  };
}

// `npm run build` puts the page into dist/page, which the coordinator serves. `vite` serves it while it is worked on, with the
// API of a coordinator on this machine.
export default defineConfig({
  root: import.meta.dirname,
  plugins: [compressed()],
  build: {
    outDir: 'dist/page',
    emptyOutDir: true,
    target: 'es2023',
    // Nothing is written into the markup: the page's security policy allows no data: scripts or styles, and files are cached for ever.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // What every view needs and what changes least is one file; views come when they are looked at.
        codeSplitting: { groups: [{ name: 'preact', test: /node_modules[\\/](?:\.pnpm[\\/])?(?:@?preact)/ }] },
      },
    },
  },
  // The coordinator takes changes only from pages of its own host: the name that the browser asked for is passed on.
  server: { proxy: { '/api': { target: 'http://127.0.0.1:7080', changeOrigin: false } } },
});

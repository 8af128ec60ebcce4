#!/usr/bin/env node
import { existsSync } from 'node:fs';

const main = new URL('../dist/main.js', import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  console.error('error: dd2 is not built. Run `npm run bootstrap` in its repository first');
  process.exitCode = 1;
}

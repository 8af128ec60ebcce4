import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { createProgram } from '../program.js';
import { MARKER, renderReference } from './render-reference.js';

/** Writes the part of docs/cli.md that follows from the program. */
const file = fileURLToPath(new URL('../../../../docs/cli.md', import.meta.url));
const [byHand = ''] = (await readFile(file, 'utf8')).split(MARKER);
await writeFile(file, `${byHand}${MARKER}\n\n${renderReference(createProgram())}`);

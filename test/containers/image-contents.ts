import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { podman } from './podman.js';

const layers = z.tuple([z.looseObject({ GraphDriver: z.looseObject({ Name: z.literal('overlay'), Data: z.looseObject({ UpperDir: z.string(), LowerDir: z.string().optional() }) }) })]);

/** A whole private key, not the mention of one. */
const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+(?:[A-Za-z-]+: .*\s+)*[A-Za-z0-9+/=\s]{64,}-----END/;
const PASSWORDS = /_authToken\s*=\s*\S|\/\/[^/\s:]+:_password\s*=/;
/** files that hold secrets wherever they are */
const SECRET_NAMES = /^(?:\.npmrc|\.netrc|\.git-credentials|id_(?:rsa|ed25519|ecdsa)|.*\.key|users\.acl)$/;
/** folders that builds and runs leave behind */
const SECRET_FOLDERS = /^(?:\.dd2|\.git|\.ssh|\.aws|\.kube)$/;
const MOST_BYTES = 8 << 20;
/** how programs and libraries begin: cryptographic ones hold keys for testing themselves */
const PROGRAM = '\x7fELF';

/** Files in any layer of an image, also those that a later layer hides, that look like secrets. */
export async function secretsInLayers(image: string): Promise<string[]> {
  const [{ GraphDriver }] = layers.parse(JSON.parse(await podman('image', 'inspect', image)));
  const folders = [GraphDriver.Data.UpperDir, ...(GraphDriver.Data.LowerDir?.split(':') ?? [])];
  return (await Promise.all(folders.map((folder) => look(folder, '')))).flat();
}

async function look(layer: string, folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(join(layer, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...(SECRET_FOLDERS.test(entry.name) ? [path] : await look(layer, path)));
    else if (entry.isFile() && (await isSecret(join(layer, path), entry.name))) found.push(path);
  }
  return found;
}

async function isSecret(path: string, name: string): Promise<boolean> {
  const { size } = await lstat(path);
  if (size > MOST_BYTES) return false; // weights
  const text = await readFile(path, 'latin1');
  if (text.startsWith(PROGRAM)) return false;
  return PRIVATE_KEY.test(text) || PASSWORDS.test(text) || (SECRET_NAMES.test(name) && text.trim() !== '');
}

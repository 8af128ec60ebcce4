import { open, rename } from 'node:fs/promises';

/** Writes a file with these permissions in one step: who reads it meanwhile finds the old content or the new one. */
export async function writeWhole(file: string, text: string, mode: number): Promise<void> {
  const handle = await open(`${file}.new`, 'w', mode);
  try {
    await handle.chmod(mode); // a file that was left over keeps its mode
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.new`, file);
}

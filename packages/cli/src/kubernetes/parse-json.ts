/** The longest answer that is read: a Secret has 1 MiB at most, before base64. */
export const MOST_BYTES = 4 * 2 ** 20;

/** What a text says as JSON; undefined when it is none, which no schema takes. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

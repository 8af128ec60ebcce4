export interface ServerEvent {
  readonly name: string;
  readonly data: string;
  readonly id: string;
}

/** Reads the body of an answer as server-sent events (HTML Standard, 9.2.6), for requests that EventSource cannot send. */
export async function* readServerEvents(response: Response): AsyncGenerator<ServerEvent> {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let lines: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = parts.pop() ?? '';
      for (const line of parts) {
        if (line !== '') {
          lines.push(line);
          continue;
        }
        const event = parseServerEvent(lines);
        lines = [];
        if (event) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined); // the connection may be gone already
  }
}

/** The event in the lines before an empty one; undefined for heartbeats and what has no data. */
export function parseServerEvent(lines: readonly string[]): ServerEvent | undefined {
  const data: string[] = [];
  let name = 'message';
  let id = '';
  for (const line of lines) {
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    if (field === 'data') data.push(value);
    else if (field === 'event') name = value;
    else if (field === 'id') id = value;
  }
  return data.length === 0 ? undefined : { name, data: data.join('\n'), id };
}

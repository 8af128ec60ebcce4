import { readFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { onTestFinished } from 'vitest';
import { Coordinator, type CoordinatorOptions } from '../coordinator.js';
import { tokenFile } from '../token-file.js';
import { temporaryFolder } from './temporary-folder.js';

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A coordinator with an HTTP server, and how it is asked. */
export interface HttpCoordinator {
  readonly coordinator: Coordinator;
  readonly dataDir: string;
  readonly url: string;
  readonly token: string;
  /** `fetch` of a path with the API token */
  readonly ask: (path: string, init?: RequestInit) => Promise<Response>;
  readonly post: (path: string, body?: unknown) => Promise<Response>;
  /** Sends a path as it is, which `fetch` does not, without a token. */
  readonly raw: (path: string, options?: { readonly method?: string; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }) => Promise<RawAnswer>;
}

/** One for a test. */
export async function httpCoordinator(options: Partial<CoordinatorOptions> = {}): Promise<HttpCoordinator> {
  const started = await startHttpCoordinator({ ...options, dataDir: options.dataDir ?? (await temporaryFolder()) });
  onTestFinished(() => started.coordinator.close());
  return started;
}

export async function startHttpCoordinator({ dataDir: folder, http, ...options }: CoordinatorOptions): Promise<HttpCoordinator> {
  const coordinator = await Coordinator.start({ access: {}, ...options, dataDir: folder, http: { port: 0, ...http } });
  const url = coordinator.httpUrl ?? '';
  const token = (await readFile(tokenFile(folder, 'api'), 'utf8').catch(() => '')).trim();
  const ask: HttpCoordinator['ask'] = (path, init = {}) => fetch(url + path, { ...init, headers: { authorization: `Bearer ${token}`, ...init.headers } });
  return {
    coordinator,
    dataDir: folder,
    url,
    token,
    ask,
    post: (path, body) => ask(path, { method: 'POST', ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }) }),
    raw: (path, { method = 'GET', headers = {}, body } = {}) =>
      new Promise((resolve, reject) => {
        const { hostname, port } = new URL(url);
        const sent = httpRequest({ hostname, port, path, method, headers, agent: false }, (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('error', reject);
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString() }));
        });
        sent.on('error', reject);
        sent.end(body);
      }),
  };
}

/** A server-sent event. */
export interface SentEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: unknown;
}

/** The events of an answer, as they arrive; comments are left out. */
export async function* eventsOf(answer: Response): AsyncGenerator<SentEvent> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const));
      const event = fields.get('event');
      if (event !== undefined) yield { event, id: fields.get('id'), data: JSON.parse(fields.get('data') ?? 'null') };
    }
  }
}

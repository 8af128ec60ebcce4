import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { api, evaluate, exportUrl, gridUrl, listRuns, type Evaluation } from './client.js';
import { ApiError } from './api-error.js';
import { apiUrl, onUnauthenticated } from './http.js';

let server: Server;
let answer: (request: IncomingMessage, response: ServerResponse, body: string) => void;
let base: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => (body += piece.toString()));
    request.on('end', () => answer(request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  // A browser resolves addresses against the page.
  const real = fetch;
  vi.stubGlobal('fetch', (url: string, options?: RequestInit) => real(base + url, options));
});
afterAll(async () => {
  vi.unstubAllGlobals();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const problemOf = (promise: Promise<unknown>): Promise<ApiError> =>
  promise.then(
    () => Promise.reject(new Error('it succeeded')),
    (thrown: unknown) => (thrown instanceof ApiError ? thrown : Promise.reject(thrown instanceof Error ? thrown : new Error('no ApiError'))),
  );

describe('requests', () => {
  it('repeats lists, leaves out what is not set, and writes ids safely', () => {
    expect(apiUrl('/runs', { states: ['RUN_STATE_RUNNING', 'RUN_STATE_QUEUED'], limit: undefined })).toBe('/api/v1/runs?states=RUN_STATE_RUNNING&states=RUN_STATE_QUEUED');
    expect(gridUrl('../x?y', 'a/b')).toBe('/api/v1/runs/..%2Fx%3Fy/evaluations/a%2Fb/grid');
    expect(exportUrl('r', { format: 'onnx', sampler: 'teacher' })).toBe('/api/v1/runs/r/export?format=EXPORT_FORMAT_ONNX&sampler=teacher');
  });

  it('marks changes as this page’s own, and only those', async () => {
    const seen: unknown[] = [];
    answer = (request, response, body) => {
      seen.push([request.method, request.headers['x-dd2-request'], request.headers['content-type'], body]);
      response.setHeader('content-type', 'application/json').end('{"runs":[]}');
    };
    await listRuns();
    await api.post('/specs/validate', { specYaml: 'a: "ü"' });
    await api.delete('/session');
    expect(seen).toEqual([
      ['GET', undefined, undefined, ''],
      ['POST', '1', 'application/json', '{"specYaml":"a: \\"ü\\""}'],
      ['DELETE', '1', undefined, ''],
    ]);
  });
});

describe('errors', () => {
  const stops: (() => void)[] = [];
  afterEach(() => stops.splice(0).forEach((stop) => stop()));

  it('are what the coordinator says', async () => {
    answer = (_request, response) => response.writeHead(404).end(JSON.stringify({ error: { code: 'RUN_NOT_FOUND', message: 'there is no run x (run_id). Look at the list', field: 'run_id', remedy: 'Look at the list', retryable: false } }));
    expect(await problemOf(listRuns())).toMatchObject({ code: 'RUN_NOT_FOUND', status: 404, field: 'run_id', remedy: 'Look at the list', retryable: false });
  });

  it.each([
    [502, '<html>Bad gateway</html>', 'UNAVAILABLE', true],
    [500, '{"error":"boom"}', 'PROTOCOL', false],
    [400, '{"error":{"code":7,"message":null}}', 'PROTOCOL', false],
    [418, 'null', 'PROTOCOL', false],
  ])('are typed whatever answers with %i %s', async (status, body, code, retryable) => {
    answer = (_request, response) => response.writeHead(status).end(body);
    expect(await problemOf(listRuns())).toMatchObject({ code, status, retryable });
  });

  it('tell that a token is needed', async () => {
    let told = 0;
    stops.push(onUnauthenticated(() => (told += 1)));
    answer = (_request, response) => response.writeHead(401).end('{"error":{"code":"UNAUTHENTICATED","message":"no token"}}');
    expect(await problemOf(listRuns())).toMatchObject({ code: 'UNAUTHENTICATED', status: 401 });
    expect(told).toBe(1);
  });

  it('are typed when the connection breaks, and when the answer is no JSON', async () => {
    answer = (request) => request.socket.destroy();
    expect(await problemOf(listRuns())).toMatchObject({ code: 'UNAVAILABLE', status: 0, retryable: true });
    answer = (_request, response) => response.end('<!doctype html>');
    expect(await problemOf(listRuns())).toMatchObject({ code: 'PROTOCOL' });
  });

  it('are not made of what the caller gave up', async () => {
    answer = () => undefined; // never
    const stop = new AbortController();
    const asked = listRuns([], { signal: stop.signal });
    setTimeout(() => stop.abort(), 20);
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('evaluate', () => {
  it('tells progress and results as they come, however the bytes are cut', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const bytes = Buffer.from(': hello\n\nevent: progress\ndata: {"progress":{"sampler":"one-step","samples":0,"totalSamples":500}}\n\nevent: evaluation\r\ndata: {"evaluation":{"fid":7.5,"sampler":"é"}}\r\n\r\n');
      let at = 0;
      const timer = setInterval(() => {
        if (at >= bytes.length) {
          clearInterval(timer);
          response.end();
          return;
        }
        response.write(bytes.subarray(at, at + 7));
        at += 7;
      }, 1);
    };
    const told: unknown[] = [];
    await evaluate('r', { samplers: ['one-step'] }, { onProgress: ({ totalSamples }) => told.push(totalSamples), onEvaluation: ({ fid, sampler }: Evaluation) => told.push(fid, sampler) });
    expect(told).toEqual([500, 7.5, 'é']);
  });

  it('throws the error that comes in the stream', async () => {
    answer = (_request, response) => response.end('event: error\ndata: {"error":{"code":"CHECKPOINT_CORRUPT","message":"checkpoint 5 is damaged","remedy":"Choose another one"}}\n\n');
    expect(await problemOf(evaluate('r', {}))).toMatchObject({ code: 'CHECKPOINT_CORRUPT', remedy: 'Choose another one' });
  });
});

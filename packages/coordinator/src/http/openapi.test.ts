import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import { RunService } from '@dd2/proto';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { beforeAll, describe, expect, it } from 'vitest';
import { configs, makeFinishedRun, type FinishedRun } from '../testing/finished-run.js';
import { eventsOf, httpCoordinator, type HttpCoordinator } from '../testing/http-coordinator.js';
import { openApiDocument } from './openapi.js';
import { API, routes } from './routes.js';

interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object; readonly 'x-events'?: Readonly<Record<string, object>> }>> }>>;
}
type Document = { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>; readonly components: { readonly schemas: Readonly<Record<string, object>> } };

const document = openApiDocument('1.2.3') as unknown as Document;
const operations = Object.entries(document.paths).flatMap(([path, verbs]) => Object.entries(verbs).map(([verb, operation]) => ({ path, verb, operation })));

/** Schemas that accept no field that they do not name: the server must not send more than the document says. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, closed(inner)]));
  return 'properties' in value ? { additionalProperties: false, ...copy } : copy;
}

const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);
ajv.addSchema(closed({ $id: 'document', ...document }) as object, 'document');
const schemaOf = (schema: object): object => JSON.parse(JSON.stringify(closed(schema)).replaceAll('"#/', '"document#/')) as object;

function expectFits(schema: object, value: unknown, what: string): void {
  const validate = ajv.compile(schemaOf(schema));
  expect(validate(value) ? [] : validate.errors, `${what}: ${JSON.stringify(value).slice(0, 400)}`).toEqual([]);
}

describe('the document', () => {
  it('is valid OpenAPI 3.1', async () => {
    expect(await new Validator().validate(JSON.parse(JSON.stringify(document)) as Record<string, unknown>)).toMatchObject({ valid: true });
  });

  it('has every method of RunService without a stream of requests exactly once, each with a description of its own', () => {
    const methods = RunService.methods.filter(({ methodKind }) => methodKind !== 'client_streaming').map(({ localName }) => localName).sort();
    expect(routes.map(({ method }) => method).sort()).toEqual(methods);
    const described = operations.map(({ operation }) => operation as Operation & { readonly summary: string });
    expect(new Set(described.map(({ summary }) => summary)).size).toBe(described.length);
  });

  it('describes every field and every enum value', () => {
    const bare: string[] = [];
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      for (const [field, { description }] of Object.entries((schema as { properties?: Record<string, { description?: string }> }).properties ?? {})) if (name !== 'Error' && !description) bare.push(`${name}.${field}`);
      const { description = '', enum: values = [] } = schema as { description?: string; enum?: string[] };
      for (const value of values) if (!new RegExp(`\`${value}\`: .`).test(description)) bare.push(`${name}.${value}`);
    }
    expect(bare).toEqual([]);
  });
});

it('is held to the document: one field too many or too few is noticed', () => {
  const schema = document.components.schemas['FidPoint'] ?? {};
  expectFits(schema, { update: 1, fid: 'NaN' }, 'FidPoint');
  for (const wrong of [{ update: 1 }, { update: 1, fid: 2, more: 3 }, { update: -1, fid: 2 }, { update: 1, fid: 'low' }]) expect(() => expectFits(schema, wrong, 'FidPoint')).toThrow('FidPoint');
});

describe('a live server', () => {
  const exercised = new Map<string, Set<string>>();
  let folder: string;
  let run: FinishedRun;
  let other: FinishedRun;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dd2-openapi-'));
    run = await makeFinishedRun(folder, 'mnist-one');
    other = await makeFinishedRun(folder, 'mnist-two', 'paused');
    return () => rm(folder, { recursive: true, force: true });
  }, 60_000);

  /** Compares an answer with what the document says about it. */
  async function check(path: string, verb: string, answer: Response, expected: number): Promise<void> {
    const operation = document.paths[path]?.[verb];
    const what = `${verb} ${path} -> ${answer.status}`;
    expect(answer.status, `${what}: ${answer.status === expected ? '' : await answer.clone().text()}`).toBe(expected);
    const responses = operation?.responses[String(answer.status)];
    const type = answer.headers.get('content-type')?.split(';')[0] ?? '';
    if (!responses) {
      expect(Object.keys(operation?.responses ?? {}), what).toContain('default');
      expect(type, what).toBe('application/json');
      expectFits({ $ref: '#/components/schemas/Error' }, await answer.json(), what);
    } else {
      const content = responses.content?.[type];
      expect(content, `${what}: ${type} is not in the document`).toBeDefined();
      if (!content) return;
      if (type === 'application/json') expectFits(content.schema, await answer.json(), what);
      else if (type === 'text/event-stream') {
        const seen = new Set<string>();
        for await (const { event, data } of eventsOf(answer)) {
          const schema = content['x-events']?.[event];
          expect(schema, `${what}: no event ${event} in the document`).toBeDefined();
          if (schema) expectFits(schema, data, `${what} ${event}`);
          seen.add(event);
          if (path.endsWith(`${API}/watch`)) break; // it has no end
        }
        expect(seen.size, what).toBeGreaterThan(0);
      } else if (type === 'image/png') expect(Buffer.from(await answer.arrayBuffer()).subarray(1, 4).toString(), what).toBe('PNG');
      else if (type === 'application/octet-stream') expect(String((await answer.arrayBuffer()).byteLength), what).toBe(answer.headers.get('content-length'));
      else expect(await answer.text(), what).toMatch(/^# HELP /m);
    }
    const statuses = exercised.get(`${verb} ${path}`) ?? new Set();
    exercised.set(`${verb} ${path}`, statuses.add(answer.ok ? 'success' : 'error'));
  }

  it('answers every operation as the document says, in success and in error', async () => {
    const server: HttpCoordinator = await httpCoordinator({ dataDir: folder, basePath: configs, resumeRuns: false });
    const { ask, post } = server;
    const runPath = (suffix: string): string => `${API}/runs/{runId}${suffix}`;
    const get = async (path: string, url: string, expected = 200): Promise<void> => check(path, 'get', await ask(url), expected);
    const send = async (path: string, url: string, body: unknown, expected = 200): Promise<void> => check(path, 'post', await post(url, body), expected);
    const one = `${API}/runs/${run.runId}`;
    const two = `${API}/runs/${other.runId}`;
    const none = `${API}/runs/none`;

    await get(`${API}/runs`, `${API}/runs`);
    await get(`${API}/runs`, `${API}/runs?states=RUN_STATE_COMPLETED&states=RUN_STATE_PAUSED`);
    await get(`${API}/runs`, `${API}/runs?states=WRONG`, 400);
    await send(`${API}/runs`, `${API}/runs`, { specYaml: run.specYaml, idempotencyKey: 'k', untilUpdate: 1, priority: -3 });
    await send(`${API}/runs`, `${API}/runs`, { specYaml: 'name: [' }, 400);
    await get(runPath(''), one);
    await get(runPath(''), none, 404);
    await get(runPath('/spec'), `${one}/spec`);
    await get(runPath('/spec'), `${none}/spec`, 404);
    await send(runPath('/resume'), `${two}/resume`, undefined);
    await send(runPath('/resume'), `${one}/resume`, {}, 409);
    await send(runPath('/pause'), `${two}/pause`, undefined);
    await send(runPath('/pause'), `${none}/pause`, undefined, 404);
    await get(runPath('/events'), `${one}/events?since=2&limit=3`);
    await get(runPath('/events'), `${one}/events?since=-1`, 400);
    await get(runPath('/watch'), `${one}/watch?since=0`);
    await get(runPath('/watch'), `${none}/watch`, 404);
    await get(`${API}/watch`, `${API}/watch`);
    await get(`${API}/watch`, `${API}/watch?unknown=1`, 400);
    await get(runPath('/series'), `${one}/series`);
    await get(runPath('/series'), `${one}/series?names=guidance.loss&names=none&axis=SERIES_AXIS_WALL_TIME&from=0&buckets=20&positions=100&positions=200`);
    await get(runPath('/series'), `${none}/series`, 404);
    await get(runPath('/evaluations'), `${one}/evaluations`);
    await get(runPath('/evaluations'), `${none}/evaluations`, 404);
    const { update, sampler, samples, noiseSeed } = run.asked;
    await send(runPath('/evaluations'), `${one}/evaluations`, { update, samplers: [sampler], samples, noiseSeed: String(noiseSeed) });
    await send(runPath('/evaluations'), `${one}/evaluations`, { samplers: ['no-such-sampler'] }, 400);
    await get(runPath('/evaluations/{evaluationId}/grid'), `${one}/evaluations/${run.evaluationId}/grid`);
    await get(runPath('/evaluations/{evaluationId}/grid'), `${one}/evaluations/none/grid`, 404);
    await get(runPath('/checkpoints'), `${one}/checkpoints`);
    await get(runPath('/checkpoints'), `${none}/checkpoints`, 404);
    await send(runPath('/checkpoints/verify'), `${one}/checkpoints/verify`, { update: run.checkpoint });
    await send(runPath('/checkpoints/verify'), `${none}/checkpoints/verify`, {}, 404);
    await get(runPath('/export'), `${one}/export?format=EXPORT_FORMAT_SAFETENSORS`);
    await get(runPath('/export'), `${one}/export?format=EXPORT_FORMAT_ONNX&sampler=wrong`, 400);
    await send(`${API}/specs/validate`, `${API}/specs/validate`, { specYaml: run.specYaml });
    await send(`${API}/specs/validate`, `${API}/specs/validate`, { specYaml: 'name: x\nwrong: 1' });
    await send(`${API}/specs/validate`, `${API}/specs/validate`, { spec: '' }, 400);
    const assets = `${API}/assets/{manifestSha256}`;
    await get(assets, `${API}/assets/${'0'.repeat(64)}`);
    await get(assets, `${API}/assets/..%2F..%2Ftokens`, 400);
    const pushed = 'a'.repeat(64);
    await mkdir(join(folder, 'assets', pushed), { recursive: true });
    await get(`${API}/assets`, `${API}/assets`);
    await get(`${API}/assets`, `${API}/assets?x=1`, 400);
    await send(`${assets}/remove`, `${API}/assets/${pushed}/remove`, undefined);
    await send(`${assets}/remove`, `${API}/assets/${pushed}/remove`, {}, 404);
    await get(`${API}/workers`, `${API}/workers`);
    await get(`${API}/workers`, `${API}/workers?x=1`, 400);
    await get(`${API}/cluster`, `${API}/cluster`);
    await get(`${API}/cluster`, `${API}/cluster?x=1`, 400);
    await send(runPath('/cancel'), `${two}/cancel`, undefined);
    await send(runPath('/cancel'), `${none}/cancel`, undefined, 404);

    const session = `${API}/session`;
    await check(session, 'get', await fetch(server.url + session), 200);
    await send(session, session, { token: server.token });
    await send(session, session, { token: 'this-is-not-the-token' }, 401);
    await check(session, 'delete', await ask(session, { method: 'DELETE' }), 200);
    await get(`${API}/openapi.json`, `${API}/openapi.json`);
    await check(`${API}/openapi.json`, 'get', await fetch(`${server.url}${API}/openapi.json`), 401);
    await check('/metrics', 'get', await ask('/metrics'), 200);
    await check('/metrics', 'get', await fetch(`${server.url}/metrics`), 401);
    for (const path of ['/healthz', '/readyz']) await check(path, 'get', await fetch(server.url + path), 200);

    const cannotFail = new Set([`get ${session}`, `delete ${session}`, 'get /healthz', 'get /readyz']);
    const wanted = operations.map(({ path, verb }) => [`${verb} ${path}`, cannotFail.has(`${verb} ${path}`) ? ['success'] : ['error', 'success']] as const);
    expect([...exercised].map(([operation, seen]) => [operation, [...seen].sort()]).sort()).toEqual([...wanted].sort());
    expect(await (await ask(`${API}/openapi.json`)).json()).toMatchObject({ openapi: '3.1.1', paths: document.paths });
  });

  it('wants the API token for everything but login, probes and page', async () => {
    const { url } = await httpCoordinator();
    for (const { path, verb, operation } of operations) {
      const answer = await fetch(url + path.replaceAll(/\{\w+\}/g, 'x'), { method: verb.toUpperCase() });
      const open = 'security' in operation && (operation.security as unknown[]).length === 0;
      if (!open) expect(answer.status, `${verb} ${path}`).toBe(401);
      else expect(answer.status, `${verb} ${path}`).not.toBe(401);
    }
  });
});

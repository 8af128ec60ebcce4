import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { createClient, RunService, RunState } from '@dd2/proto';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Coordinator } from '../coordinator.js';
import { configs, makeFinishedRun, type FinishedRun } from '../testing/finished-run.js';
import { eventsOf, httpCoordinator, startHttpCoordinator, type HttpCoordinator, type SentEvent } from '../testing/http-coordinator.js';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { API } from './routes.js';

const RUNS = `${API}/runs`;
const text = expect.any(String) as string;

/** for tests that change nothing that others see */
let shared: HttpCoordinator;
let finished: FinishedRun;
let page: string;
const script = 'console.log("page")'.repeat(100);

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dd2-http-'));
  page = join(folder, 'page');
  await mkdir(join(page, 'assets'), { recursive: true });
  await writeFile(join(page, 'index.html'), '<!doctype html><title>dd2</title>');
  await writeFile(join(page, 'assets/main-abc123.js'), script);
  await writeFile(join(page, 'assets/main-abc123.js.gz'), gzipSync(script));
  await writeFile(join(page, '.secret'), 'secret');
  await writeFile(join(folder, 'outside.txt'), 'outside');
  await symlink(page, join(folder, 'link'));
  const dataDir = join(folder, 'data');
  finished = await makeFinishedRun(dataDir, 'mnist-a');
  shared = await startHttpCoordinator({ dataDir, basePath: configs, resumeRuns: false, http: { port: 0, pageFolder: page } });
  return async () => {
    await shared.coordinator.close();
    await rm(folder, { recursive: true, force: true });
  };
}, 60_000);

function errorOf(body: string): Record<string, unknown> {
  const { error } = JSON.parse(body) as { error: Record<string, unknown> };
  expect(error).toEqual({ code: text, message: text, field: text, remedy: text, retryable: expect.any(Boolean) as boolean });
  return error;
}

describe('a wrong request', () => {
  it('gets a typed error that names what is wrong', async () => {
    const { raw, token } = shared;
    const authorization = `Bearer ${token}`;
    const json = { authorization, 'content-type': 'application/json' };
    const post = (path: string, body: string, headers: Readonly<Record<string, string>> = json) => raw(path, { method: 'POST', headers, body });
    const get = (path: string) => raw(path, { headers: { authorization } });
    const cases: readonly [what: string, answer: Awaited<ReturnType<typeof raw>>, status: number, error: object][] = [
      ['a body that is too large', await post(RUNS, JSON.stringify({ specYaml: 'x'.repeat(1024 * 1024) })), 413, { code: 'INVALID_ARGUMENT', remedy: 'At most 1 MiB is taken' }],
      ['no JSON', await post(RUNS, '{"specYaml": '), 400, { code: 'INVALID_ARGUMENT', message: expect.stringContaining('not valid JSON') as string }],
      ['a prototype', await post(RUNS, '{"__proto__": {"specYaml": "x"}}'), 400, { code: 'INVALID_ARGUMENT' }],
      ['a list', await post(RUNS, '[]'), 400, { message: expect.stringContaining('no JSON object') as string }],
      ['a text', await post(RUNS, '"spec"'), 400, { message: expect.stringContaining('no JSON object') as string }],
      ['another type', await post(RUNS, 'name: x', { authorization, 'content-type': 'application/yaml' }), 415, { message: expect.stringContaining('not JSON') as string }],
      ['a form', await post(RUNS, 'specYaml=x', { authorization, 'content-type': 'application/x-www-form-urlencoded' }), 415, { code: 'INVALID_ARGUMENT' }],
      ['a plain text', await post(RUNS, '{}', { authorization, 'content-type': 'text/plain' }), 415, { code: 'INVALID_ARGUMENT' }],
      ['an unknown field', await post(RUNS, '{"specYaml": "", "priorty": 1}'), 400, { field: 'priorty', remedy: expect.stringContaining('priority') as string }],
      ['a value of another type', await post(RUNS, '{"specYaml": 1}'), 400, { field: 'specYaml' }],
      ['a number that is too large', await post(RUNS, '{"specYaml": "", "priority": 1e20}'), 400, { field: 'priority' }],
      ['a field twice', await post(RUNS, '{"specYaml": "", "spec_yaml": ""}'), 400, { field: 'spec_yaml' }],
      ['a field of the path', await post(`${RUNS}/a/cancel`, '{"runId": "b"}'), 400, { field: 'runId', message: expect.stringContaining('path') as string }],
      ['a query with a body', await post(`${RUNS}/a/cancel?runId=b`, '{}'), 400, { field: 'runId' }],
      ['an unknown parameter', await get(`${RUNS}?state=RUN_STATE_RUNNING`), 400, { field: 'state', remedy: 'There are states' }],
      ['an unknown state', await get(`${RUNS}?states=running`), 400, { field: 'states' }],
      ['a parameter twice', await get(`${RUNS}/a/events?since=1&since=2`), 400, { field: 'since' }],
      ['a run that is not there', await get(`${RUNS}/none`), 404, { code: 'RUN_NOT_FOUND', field: 'run_id' }],
      ['a run like a path', await get(`${RUNS}/..%2f..%2fetc`), 404, { code: 'RUN_NOT_FOUND' }],
      ['a run like the prototype', await get(`${RUNS}/__proto__`), 404, { code: 'RUN_NOT_FOUND' }],
      ['a name that is too long', await get(`${RUNS}/${'x'.repeat(300)}`), 404, { code: 'INVALID_ARGUMENT' }],
      ['a grid like a path', await get(`${RUNS}/none/evaluations/..%2f..%2frun.json%00/grid`), 404, { code: 'RUN_NOT_FOUND' }],
      ['a path that cannot be decoded', await get(`${RUNS}/%zz`), 400, { code: 'INVALID_ARGUMENT' }],
      ['no operation', await get(`${API}/nothing`), 404, { code: 'INVALID_ARGUMENT' }],
      ['another verb', await raw(`${RUNS}/a`, { method: 'DELETE', headers: { authorization } }), 404, { code: 'INVALID_ARGUMENT' }],
      ['YAML that is none', await post(RUNS, '{"specYaml": "a: [1"}'), 400, { code: 'INVALID_SPEC', field: 'line 1' }],
      ['aliases that multiply', await post(RUNS, JSON.stringify({ specYaml: `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]` })), 400, { code: 'INVALID_SPEC' }],
      ['a NUL in a path', await post(RUNS, JSON.stringify({ specYaml: '', basePath: '/tmp\0/x' })), 400, {}],
    ];
    for (const [what, { status, body, headers }, expected, error] of cases) {
      expect(status, `${what}: ${body}`).toBe(expected);
      expect(errorOf(body), what).toMatchObject(error);
      expect(headers, what).toMatchObject({ 'content-type': 'application/json; charset=utf-8', 'x-content-type-options': 'nosniff', 'content-security-policy': expect.stringContaining("default-src 'none'") as string });
    }
  });

  it('that is not HTTP, or floods it with headers, is refused', async () => {
    const { url, ask } = shared;
    const send = (bytes: string): Promise<string> =>
      new Promise((resolve) => {
        let got = '';
        const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes));
        socket.on('data', (chunk) => (got += chunk.toString()));
        socket.on('error', () => undefined);
        socket.on('close', () => resolve(got));
      });
    const large = await send(`GET / HTTP/1.1\r\nhost: x\r\n${'a: b\r\n'.repeat(20_000)}\r\n`);
    expect(large).toMatch(/^HTTP\/1\.1 431 /);
    expect(errorOf(large.slice(large.indexOf('\r\n\r\n'))).code).toBe('INVALID_ARGUMENT');
    expect(await send(`GET / HTTP/1.1\r\nhost: x\r\ncookie: ${'c'.repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
    expect(await send('\x16\x03\x01 hello\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect(await send('GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect((await ask(`${API}/cluster`)).status).toBe(200);
  });

  it('cannot put markup into an answer', async () => {
    const { ask } = shared;
    const markup = '<script>alert(1)</script>';
    for (const path of [`${RUNS}/${encodeURIComponent(markup)}`, `${RUNS}?${encodeURIComponent(markup)}=1`, `/${markup}`, `${API}/${markup}`]) {
      const answer = await ask(path);
      expect(answer.ok, path).toBe(false);
      expect(answer.headers.get('content-type'), path).toBe('application/json; charset=utf-8');
      expect(answer.headers.get('x-content-type-options'), path).toBe('nosniff');
      errorOf(await answer.text());
    }
  });

  it('is refused when too many come from one address, and told when to try again', async () => {
    const { ask } = await httpCoordinator({ http: { port: 0, limits: { perSecond: 0.01, burst: 3 } } });
    for (let index = 0; index < 3; index++) expect((await ask(`${API}/cluster`)).status).toBe(200);
    for (const probe of ['/healthz', '/readyz']) expect((await ask(probe)).status).toBe(200);
    const refused = await ask(`${API}/cluster`);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(10);
    expect(errorOf(await refused.text())).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true });
  });
});

describe('who is let in', () => {
  it('shows the API token, or the cookie of a login from the page of this server', async () => {
    const { raw, token, url } = shared;
    const { host } = new URL(url);
    for (const authorization of ['', 'Bearer', 'Bearer ', `Bearer ${token}x`, `Basic ${token}`, token]) {
      const { status, headers, body } = await raw(RUNS, { headers: { authorization } });
      expect([status, headers['www-authenticate']], authorization).toEqual([401, 'Bearer realm="dd2"']);
      expect(errorOf(body)).toMatchObject({ code: 'UNAUTHENTICATED' });
      expect(body).not.toContain(token);
    }
    const json = { 'content-type': 'application/json' };
    const wrong = await raw(`${API}/session`, { method: 'POST', headers: json, body: JSON.stringify({ token: 'x'.repeat(43) }) });
    expect([wrong.status, wrong.headers['set-cookie']]).toEqual([401, undefined]);
    for (const body of ['{}', '{"token": 1}', '{"token": "a", "b": 1}', '[]', `{"token": "${'x'.repeat(5_000)}"}`]) expect((await raw(`${API}/session`, { method: 'POST', headers: json, body })).status, body).toBe(400);
    const login = await raw(`${API}/session`, { method: 'POST', headers: json, body: JSON.stringify({ token }) });
    expect([login.status, login.body]).toEqual([200, '{"authenticated":true}']);
    const [set = ''] = login.headers['set-cookie'] ?? [];
    expect(set).toMatch(/^dd2-session-[0-9a-f]{8}=[\w.-]+; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(set).not.toContain(token);
    const cookie = set.split(';')[0] ?? '';
    const asked = async (path: string, method: string, headers: Readonly<Record<string, string>>): Promise<number> => (await raw(path, { method, headers: { cookie, ...headers } })).status;

    expect(await asked(RUNS, 'GET', {})).toBe(200);
    expect(await asked('/metrics', 'GET', {})).toBe(200);
    const own = { 'x-dd2-request': '1', origin: `http://${host}`, host };
    expect(await asked(`${RUNS}/none/pause`, 'POST', own)).toBe(404);
    for (const [what, headers] of Object.entries({
      'no header': { origin: own.origin, host },
      'no origin': { 'x-dd2-request': '1', host },
      'another site': { ...own, origin: 'http://evil.example' },
      'another port': { ...own, origin: 'http://127.0.0.1:1' },
      'a similar host': { ...own, origin: `http://${host}.evil.example` },
      'no site': { ...own, origin: 'null' },
      'a wrong header': { ...own, 'x-dd2-request': '0' },
    })) {
      expect(await asked(`${RUNS}/none/pause`, 'POST', headers), what).toBe(401);
      expect(await asked(`${API}/session`, 'DELETE', headers), what).toBe(401);
    }
    // A token that is wrong is not mended by a cookie.
    expect(await asked(RUNS, 'GET', { authorization: 'Bearer wrong' })).toBe(401);
    expect(await asked(`${API}/session`, 'DELETE', own)).toBe(200);
    expect(await asked(RUNS, 'GET', {})).toBe(401);
  });

  it('may try to log in a few times', async () => {
    const { post } = await httpCoordinator();
    const statuses = [];
    for (let attempt = 0; attempt < 12; attempt++) statuses.push((await post(`${API}/session`, { token: `guess-${attempt}` })).status);
    expect(statuses).toEqual([...new Array<number>(10).fill(401), 429, 429]);
  });

  it('reads the metrics with a token that is for nothing else', async () => {
    const folder = await temporaryFolder();
    const metricsTokenFile = join(folder, 'metrics');
    await writeFile(metricsTokenFile, 'the-token-of-monitoring');
    const { raw } = await httpCoordinator({ access: { metricsTokenFile } });
    const headers = { authorization: 'Bearer the-token-of-monitoring' };
    const metrics = await raw('/metrics', { headers });
    expect([metrics.status, metrics.headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
    const refused = await raw(RUNS, { headers });
    expect(refused.status).toBe(401);
    expect(errorOf(refused.body)['message']).toContain('metrics token');
    expect((await raw('/metrics')).status).toBe(401);
  });

  it('is everybody when there are no access options, which is for tests', async () => {
    const { raw } = await httpCoordinator({ access: undefined });
    expect((await raw(RUNS)).status).toBe(200);
    expect((await raw(`${API}/session`)).body).toBe('{"authenticated":true}');
    expect((await raw(`${API}/session`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"token":"x"}' })).status).toBe(200);
  });
});

describe('the page', () => {
  it('is served without a login, hashed files for ever, and its places by its first file', async () => {
    const { raw } = shared;
    for (const path of ['/', '/runs/mnist-1a2b', '/submit?x=1', '/diff?a=one.two&b=three', '/workers', '/try/mnist-1']) {
      const { status, headers, body } = await raw(path);
      expect([status, headers['content-type'], headers['cache-control']], path).toEqual([200, 'text/html; charset=utf-8', 'no-cache']);
      expect(body, path).toContain('<title>dd2</title>');
      expect(headers['content-security-policy'], path).toContain("script-src 'self' 'wasm-unsafe-eval'");
      expect(headers['strict-transport-security']).toBeUndefined();
    }
    const plain = await raw('/assets/main-abc123.js');
    expect([plain.status, plain.headers['cache-control'], plain.body]).toEqual([200, 'public, max-age=31536000, immutable', script]);
    expect(plain.headers['content-type']).toContain('javascript');
    const compressed = await raw('/assets/main-abc123.js', { headers: { 'accept-encoding': 'gzip' } });
    expect([compressed.headers['content-encoding'], compressed.headers['content-length']]).toEqual(['gzip', String(gzipSync(script).byteLength)]);
    expect(compressed.headers['content-type']).toContain('javascript');
    expect((await raw('/', { method: 'HEAD' })).status).toBe(200);
  });

  it('gives nothing else away', async () => {
    const { raw } = shared;
    for (const path of [
      '/../outside.txt', '/assets/../../outside.txt', '/..%2foutside.txt', '/%2e%2e/outside.txt', '/%2e%2e%2foutside.txt', '/assets/..%5c..%5coutside.txt', '/..\\outside.txt', '//outside.txt',
      '/.secret', '/%2esecret', '/assets/', '/nothing.js', '/assets/nothing.js', '/index.html%00', '/%00', '/api/v1/../../outside.txt', '/api', '/api/', '/healthz/x', '/metrics/x',
    ]) {
      const { status, body } = await raw(path);
      expect([400, 403, 404], `${path}: ${body}`).toContain(status);
      expect(body, path).not.toMatch(/outside$|secret$/);
      errorOf(body);
    }
    expect((await raw('/runs', { method: 'POST' })).status).toBe(404);
  });

  it('that is not built says so', async () => {
    const { raw } = await httpCoordinator({ http: { port: 0, pageFolder: '/no/such/folder' } });
    const { status, body } = await raw('/');
    expect(status).toBe(404);
    expect(errorOf(body)['message']).toContain('not built');
  });
});

describe('an answer', () => {
  it('that is large is compressed for those who take that', async () => {
    const { runId } = finished;
    const { raw, token } = shared;
    const path = `${RUNS}/${runId}/events`;
    const authorization = `Bearer ${token}`;
    const plain = await raw(path, { headers: { authorization } });
    expect(plain.headers['content-encoding']).toBeUndefined();
    const bytes = Number(plain.headers['content-length']);
    for (const [accepted, encoding] of [['gzip, deflate, br', 'gzip'], ['*', 'gzip'], ['gzip;q=0', undefined], ['br', undefined], ['gzip; q=0.5', 'gzip'], ['identity', undefined]] as const) {
      const { headers } = await raw(path, { headers: { authorization, 'accept-encoding': accepted } });
      expect(headers['content-encoding'], accepted).toBe(encoding);
      if (encoding) expect(Number(headers['content-length'])).toBeLessThan(bytes / 3);
      expect(headers).toMatchObject({ vary: 'accept-encoding', 'cache-control': 'no-store' });
    }
  });

  it('has the figures that JSON has no number for', async () => {
    const { runId, asked } = finished;
    const { ask } = shared;
    const { evaluations } = (await (await ask(`${RUNS}/${runId}/evaluations`)).json()) as { evaluations: Record<string, unknown>[] };
    expect(evaluations.find(({ noiseSeed }) => noiseSeed === String(asked.noiseSeed))).toMatchObject({ accuracy: 'NaN', samples: 50, hasGrid: false, state: 'EVALUATION_STATE_COMPLETED' });
    expect(evaluations.filter(({ hasGrid }) => hasGrid === true).length).toBeGreaterThan(5);
  });

  it('to a spec says everything that is wrong with it, with lines', async () => {
    const { post } = shared;
    const specYaml = 'name: Wrong Name\nseed: 1\nassets: nowhere\nextra: 1\nmodel:\n  headWidth: 0\n  headBlocks: 1\n  more: 2\n';
    const { problems } = (await (await post(`${API}/specs/validate`, { specYaml })).json()) as { problems: { field: string; line: number }[] };
    const lines = Object.fromEntries(problems.map(({ field, line }) => [field, line] as const));
    expect(lines).toEqual({ name: 1, 'model.headWidth': 6, 'model.more': 8, extra: 4, phases: 0, evaluation: 0 });
  });

  it('to a submission finds relative assets from the base path of the coordinator', async () => {
    const { post, ask } = shared;
    const relative = finished.specYaml.replace(/^assets: .*$/m, 'assets: ../assets/mnist');
    const valid = (await (await post(`${API}/specs/validate`, { specYaml: relative })).json()) as object;
    expect(valid).toMatchObject({ problems: [], totalUpdates: 400, specYaml: expect.stringContaining('headWidth') as string });
    const missing = (await (await post(`${API}/specs/validate`, { specYaml: relative, basePath: '/nowhere' })).json()) as object;
    expect(missing).toMatchObject({ problems: [{ field: 'assets', message: expect.stringContaining('/assets/mnist') as string, line: 3 }], specYaml: '' });
    const { run } = (await (await post(RUNS, { specYaml: relative })).json()) as { run: { runId: string; state: string } };
    expect(run.state).toBe('RUN_STATE_QUEUED');
    const { specYaml: kept } = (await (await ask(`${RUNS}/${run.runId}/spec`)).json()) as { specYaml: string };
    expect(kept).toContain(`assets: ${join(configs, '../assets/mnist')}`);
  });
});

describe('who watches', () => {
  /** Reads events until one fits. */
  async function until(events: AsyncGenerator<SentEvent>, fits: (event: SentEvent) => boolean): Promise<SentEvent[]> {
    const seen: SentEvent[] = [];
    for (;;) {
      const next = await events.next();
      if (next.done === true) throw new Error(`ended after ${JSON.stringify(seen)}`);
      seen.push(next.value);
      if (fits(next.value)) return seen;
    }
  }

  it('hears of changes as they happen, over HTTP and gRPC, and from where it left off', async () => {
    const dataDir = await temporaryFolder();
    const { runId } = await makeFinishedRun(dataDir, 'mnist-live', 'paused');
    const { ask, post, coordinator, token } = await httpCoordinator({ dataDir, resumeRuns: false });
    const path = `${RUNS}/${runId}`;
    const all = eventsOf(await ask(`${API}/watch`));
    const stateOf = ({ data }: SentEvent): string => (data as { run: { state: string } }).run.state;
    await until(all, (event) => stateOf(event) === 'RUN_STATE_PAUSED');
    const client = createClient(RunService, coordinator.address, { token });
    onTestFinished(() => client.close());
    const states: number[] = [];
    const heard = (async () => {
      for await (const { run } of client.watchRuns({})) if (run && states.at(-1) !== run.state && states.push(run.state) && run.state === RunState.CANCELLED) return;
    })();
    await expect.poll(() => states).toEqual([RunState.PAUSED]);

    // What is paused has nothing more to tell.
    const before = [];
    for await (const event of eventsOf(await ask(`${path}/watch`))) before.push(event);
    expect(before.at(-1)).toEqual({ event: 'end', id: undefined, data: {} });
    const last = Number(before.at(-2)?.id);
    expect(last).toBeGreaterThan(5);

    expect(await (await post(`${path}/resume`)).json()).toMatchObject({ run: { runId } });
    const watching = eventsOf(await ask(`${path}/watch?since=1`, { headers: { 'last-event-id': String(last) } }));
    const kind = ({ data }: SentEvent): string => (data as { event: { kind: string } }).event.kind;
    const [queued] = await until(watching, (event) => kind(event) === 'queued');
    expect(queued).toMatchObject({ event: 'run-event', id: String(last + 1) });
    await post(`${path}/cancel`);
    const rest = await until(watching, ({ event }) => event === 'end');
    expect(kind(rest.at(-2) ?? { event: '', id: '', data: {} })).toBe('cancelled');
    expect((await watching.next()).done).toBe(true);
    const changes = await until(all, (event) => stateOf(event) === 'RUN_STATE_CANCELLED');
    expect(changes.every(({ event, id }) => event === 'run' && id === undefined)).toBe(true);
    await heard;
    expect([states[0], states.at(-1)]).toEqual([RunState.PAUSED, RunState.CANCELLED]);
    await coordinator.close();
    expect((await all.next()).done).toBe(true);
  });

  it('shares the answers about series with others, but not those from before the run has ended', async () => {
    const dataDir = await temporaryFolder();
    const { runId } = await makeFinishedRun(dataDir, 'mnist-shared', 'paused');
    const { ask, post } = await httpCoordinator({ dataDir, resumeRuns: false });
    const updates = async (): Promise<number> => ((await (await ask(`${RUNS}/${runId}/series?names=update.workers`)).json()) as { updates: number }).updates;
    const metrics = join(dataDir, 'runs', runId, 'metrics.jsonl');
    const [line = ''] = (await readFile(metrics, 'utf8')).trimEnd().split('\n').slice(-1);
    expect(await updates()).toBe(400);
    await appendFile(metrics, `${JSON.stringify({ ...(JSON.parse(line) as object), update: 400 })}\n`);
    await post(`${RUNS}/${runId}/cancel`);
    expect(await updates()).toBe(401);
  });

  it('is forgotten with the connection, also who has asked again on it before the first answer ended', async () => {
    const { url, token, ask } = await httpCoordinator({ http: { port: 0, limits: { maxStreams: 3 } } });
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(`GET ${API}/watch HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`.repeat(3));
    await once(socket, 'data');
    expect((await ask(`${API}/watch`)).status).toBe(429);
    socket.destroy();
    const places = async (): Promise<number> => {
      const answers = await Promise.all(Array.from({ length: 3 }, () => ask(`${API}/watch`)));
      for (const { body } of answers) await body?.cancel();
      return answers.filter(({ ok }) => ok).length;
    };
    await expect.poll(places).toBe(3);
  });

  it('is refused with a typed error when too many do', async () => {
    const { ask } = await httpCoordinator({ http: { port: 0, limits: { maxStreams: 1 } } });
    const first = await ask(`${API}/watch`);
    const second = await ask(`${API}/watch`);
    expect(second.status).toBe(429);
    expect(errorOf(await second.text())).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await first.body?.cancel();
    await expect.poll(async () => (await ask(`${API}/watch`)).status).toBe(200);
  });
});

describe('a server that stops', () => {
  it('tells probes so until it is gone, and is alive', async () => {
    const { coordinator, ask } = await httpCoordinator();
    expect(await (await ask('/readyz')).json()).toEqual({ ok: true, reasons: [] });
    const closed = coordinator.close();
    const [ready, live, watching] = await Promise.all([ask('/readyz'), ask('/healthz'), ask(`${API}/watch`)]);
    expect([ready.status, await ready.json()]).toEqual([503, { ok: false, reasons: ['the coordinator stops'] }]);
    expect([live.status, await live.json()]).toEqual([200, { ok: true, reasons: [] }]);
    expect(errorOf(await watching.text())).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    await closed;
  });

  it('ends the streams of events at once, and leaves its port', async () => {
    const { coordinator, ask, url } = await httpCoordinator();
    const watching = await ask(`${API}/watch`);
    const received = (async () => {
      for await (const _ of eventsOf(watching));
    })();
    const idle: Socket = connect(Number(new URL(url).port), '127.0.0.1');
    await once(idle, 'connect');
    await coordinator.close();
    await received;
    if (!idle.closed) await once(idle.resume(), 'close');
    await expect(fetch(url)).rejects.toThrow();
  });

  it('gives a port that is in use an error that names the option, unless any other will do', async () => {
    const { url } = shared;
    const port = Number(new URL(url).port);
    const dataDir = await temporaryFolder();
    await expect(Coordinator.start({ dataDir, http: { port } })).rejects.toMatchObject({ code: 'UNAVAILABLE', field: '--http-port', remedy: expect.stringContaining('--no-http') as string });
    const other = await Coordinator.start({ dataDir, http: { port, orAnyPort: true } });
    onTestFinished(() => other.close());
    expect(Number(new URL(other.httpUrl ?? '').port)).not.toBe(port);
  });

  it('does not mind those who go away in the middle', async () => {
    const { url, token, ask } = shared;
    const broken = vi.fn();
    process.on('uncaughtException', broken);
    onTestFinished(() => void process.off('uncaughtException', broken));
    for (let index = 0; index < 20; index++) {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      await once(socket, 'connect');
      socket.write(`GET ${API}/watch HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`);
      if (index % 2 === 0) await once(socket, 'data');
      socket.resetAndDestroy();
    }
    expect((await ask(`${API}/cluster`)).status).toBe(200);
    expect(broken).not.toHaveBeenCalled();
  });
});

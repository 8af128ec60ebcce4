/**
 * What people who watch cost the coordinator: processor time of its process with and without viewers, while a run goes on.
 *
 *   node bench/viewers.mjs [--viewers 50] [--seconds 20] [--rounds 4] [--config configs/mnist.yaml] [--pace UPDATES_PER_SECOND]
 *
 * A coordinator and a worker are processes of their own, the run is a real one, and its processor time is that of /proc/PID/stat, all
 * threads. First one real page is opened in Chromium and its requests are written down for a while; then windows without viewers, with
 * as many live viewers, and again, alternate. The figure is the median of the differences of neighbouring windows. Since viewers take
 * time from the worker on the same machine, the run advances more slowly while they watch: `for as many updates` counts the
 * coordinator's own work by the updates of each window. `--pace` has no worker: the run's history is told of so many updates a second,
 * inside a coordinator that computes nothing, which has less noise.
 *
 * What a viewer does is what the page of a run does (packages/dashboard/src), each with connections of its own, a bearer token and gzip:
 *   once          session, run, evaluations, spec, workers, cluster, and the series of the charts on screen: what the recorded page asked for
 *   stream        GET /api/v1/watch, held; a run whose `updatedAt` has changed is a reason to ask for its evaluations, one request at a time
 *   every 2-15 s  the end of the series: names and axis as before, from= the last place that is known, buckets=256; the next time is
 *                 when a bucket of the overview has filled, as the page's store of series reckons it
 *   every 30 s    workers
 *   every 60 s    cluster
 */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';

const { values } = parseArgs({
  options: {
    viewers: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '4' },
    config: { type: 'string', default: 'configs/mnist.yaml' },
    pace: { type: 'string' },
    profile: { type: 'string' },
    audience: { type: 'string' },
  },
});
const [viewers, seconds, rounds] = [values.viewers, values.seconds, values.rounds].map(Number);
const root = path.dirname(import.meta.dirname);
const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
const percent = (value) => `${(100 * value).toFixed(2)} %`;
const TICKS_PER_SECOND = 100; // sysconf(_SC_CLK_TCK) of Linux
const RECORD_SECONDS = 30;
/** Soon in the phase that takes longest, and there until the end of the benchmark. */
const overrides = ['phases.tune.updates=50', 'phases.regress.pairs=400', 'phases.regress.odeSteps=5', 'phases.regress.updates=50', 'phases.distill.align=10', 'phases.distill.generatorUpdates=1000000', 'evaluation.everyGeneratorUpdates=100', 'evaluation.samples=500'];

async function measure() {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'dd2-viewers-'));
  const children = [];
  try {
    const { pid, url, token, runId } = values.pace === undefined ? await startCluster(dataDir, children) : await startPaced(dataDir, children);
    const headers = { authorization: `Bearer ${token}` };
    const updatesNow = async () => (await (await fetch(`${url}/api/v1/runs/${runId}`, { headers })).json()).run.update;
    while ((await updatesNow()) < 130) await sleep(500);
    const recorded = await record({ url, token, runId });
    const windows = { alone: [], watched: [] };
    for (let round = 0; round < rounds; round++) {
      windows.alone.push(await measureWindow(pid, updatesNow));
      const audience = fork(import.meta.filename, ['--viewers', String(viewers), '--audience', JSON.stringify({ url, token, runId, series: recorded.series })]);
      await Promise.race([once(audience, 'message'), once(audience, 'exit').then(([code]) => Promise.reject(new Error(`the viewers ended with ${code}`)))]);
      await sleep(3_000);
      const ask = () => new Promise((resolve) => (audience.once('message', resolve), audience.send('count')));
      const before = await ask();
      windows.watched.push(await measureWindow(pid, updatesNow));
      const after = await ask();
      const left = once(audience, 'exit');
      audience.kill();
      await left;
      const { alone, watched } = Object.fromEntries(Object.entries(windows).map(([name, list]) => [name, list.at(-1)]));
      const rate = (key) => (after[key] - before[key]) / watched.elapsed;
      console.log(
        `round ${round + 1}: alone ${percent(alone.share)} at ${alone.rate.toFixed(1)} updates/s, ${viewers} viewers ${percent(watched.share)} at ${watched.rate.toFixed(1)} updates/s; ` +
          `${(rate('bytes') / 1e3).toFixed(1)} kB/s, ${rate('requests').toFixed(1)} requests/s, ${(rate('events') / viewers).toFixed(2)} events/s a viewer, ${after.failures} failures; load ${loadavg()[0].toFixed(1)}`,
      );
      if (after.failures > 0) throw new Error(`viewers were refused: ${after.failure}`);
    }
    // A window is compared with the ones without viewers before and after it.
    const { alone, watched } = windows;
    alone.push(await measureWindow(pid, updatesNow));
    const around = (index, pick) => (pick(alone[index]) + pick(alone[index + 1])) / 2;
    const differences = watched.map(({ share }, index) => share - around(index, (one) => one.share));
    const corrected = watched.map(({ share, rate }, index) => share - around(index, (one) => one.share / one.rate) * rate);
    const list = (numbers) => numbers.map(percent).join(', ');
    console.log(`share of a core: alone ${percent(median(alone.map(({ share }) => share)))}, with ${viewers} viewers ${percent(median(watched.map(({ share }) => share)))}`);
    console.log(`${viewers} viewers take ${percent(median(differences))} of a core (${list(differences)})`);
    console.log(`  for as many updates ${percent(median(corrected))} (${list(corrected)})`);
  } finally {
    for (const child of children.reverse()) {
      if (child.exitCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** Share of one core that a process takes over a while, and how the run advances. */
async function measureWindow(pid, updatesNow) {
  const cpuSeconds = () => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  };
  const updates = await updatesNow();
  const [cpu, started] = [cpuSeconds(), performance.now()];
  await sleep(seconds * 1_000);
  const elapsed = (performance.now() - started) / 1_000;
  const share = (cpuSeconds() - cpu) / elapsed;
  return { share, elapsed, rate: ((await updatesNow()) - updates) / elapsed };
}

async function startCluster(dataDir, children) {
  const profile = values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`];
  const dd2 = (args, options = []) => {
    const child = spawn(process.execPath, [...options, path.join(root, 'packages/cli/bin/dd2.mjs'), ...args, '--data-dir', dataDir], { stdio: ['ignore', 'pipe', 'ignore'] });
    children.push(child);
    return child;
  };
  const coordinator = dd2(['coordinator', '--port', '0', '--http-port', '0'], profile);
  let text = '';
  for await (const chunk of coordinator.stdout.iterator({ destroyOnReturn: false })) if ((text += chunk).includes('page at ')) break;
  coordinator.stdout.resume();
  const [, address, url] = /coordinator at (\S+)\s+page at (\S+)/.exec(text) ?? [];
  if (url === undefined) throw new Error(`the coordinator did not start: ${text}`);
  dd2(['worker', '--coordinator', address]).stdout.resume();
  const token = readFileSync(path.join(dataDir, 'tokens/api'), 'utf8').trim();
  const config = path.resolve(root, values.config);
  const body = JSON.stringify({ specYaml: readFileSync(config, 'utf8'), overrides, basePath: path.dirname(config) });
  const answer = await fetch(`${url}/api/v1/runs`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body });
  const told = await answer.json();
  if (!answer.ok) throw new Error(`the run was refused: ${JSON.stringify(told)}`);
  return { pid: coordinator.pid, url, token, runId: told.run.runId };
}

async function startPaced(dataDir, children) {
  const child = fork(import.meta.filename, ['--pace', values.pace, '--config', dataDir]);
  children.push(child);
  const [told] = await once(child, 'message');
  return { pid: child.pid, ...told };
}

/** A coordinator whose run is not computed: its history is told of updates, and its metrics are written, as for one that is. */
async function pace() {
  const dist = path.join(root, 'packages/coordinator/dist');
  const { Coordinator } = await import(path.join(dist, 'coordinator.js'));
  const { makeLongRun } = await import(path.join(dist, 'testing/long-run.js'));
  const [runId, dataDir, first] = ['mnist-long', values.config, 100_000];
  makeLongRun(dataDir, first, { runId, state: 'paused' });
  const coordinator = await Coordinator.start({ dataDir, http: { port: 0, pageFolder: path.join(root, 'packages/dashboard/dist/page') }, access: { tls: undefined, insecure: false }, resumeRuns: false });
  const history = coordinator.parts.runs.find(runId);
  const { folder } = coordinator.parts.runs.evaluationsOf(runId);
  await history.record('started', 'the run starts', { state: 'running' });
  const line = { phase: 'distill', network: 'guidance', cyclePosition: 0, samples: 64, committed: true, skippedUpdates: 0, skippedInARow: 0, version: 1, learningRate: 1e-4, gradientNorm: 1.5, workers: 2 };
  let update = first;
  setInterval(() => {
    update += 1;
    const metrics = { ...line, update, at: Date.now(), generatorUpdates: update >> 2, losses: { loss: 0.1 + 1 / update, gap: 0.06 }, timing: { wallMs: 50, computeMs: 40, transferMs: 5, reduceMs: 1, optimizeMs: 2, publishMs: 1, overhead: 0.2 } };
    history.progress(metrics);
    void folder.append('metrics.jsonl', metrics);
  }, 1_000 / Number(values.pace));
  setInterval(() => void history.record('checkpoint', `checkpoint ${update} is complete`, {}), 5_000);
  await sleep(5_000); // what a coordinator does after its start
  process.once('SIGTERM', () => void coordinator.close().finally(() => process.exit()));
  process.send({ url: coordinator.httpUrl, token: readFileSync(path.join(dataDir, 'tokens/api'), 'utf8').trim(), runId });
}

/** What one real page asks for while the run goes on; prints it, and gives the address of its first series. */
async function record({ url, token, runId }) {
  const { chromium } = await import('playwright-core');
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args: ['--disable-gpu', '--disable-background-networking'] });
  try {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    await context.request.post(`${url}/api/v1/session`, { data: { token } });
    const page = await context.newPage();
    const asked = [];
    page.on('request', (one) => one.url().includes('/api/') && asked.push({ url: one.url(), at: performance.now() }));
    await page.goto(`${url}/runs/${runId}`);
    await page.locator('.metrics').scrollIntoViewIfNeeded(); // down to the charts of metrics, which is where more is asked for
    await page.locator('.metrics').evaluate((metrics) => metrics.scrollIntoView());
    const from = performance.now() + 5_000;
    await sleep(5_000 + RECORD_SECONDS * 1_000);
    const kinds = new Map();
    for (const { url: one, at } of asked) if (at >= from) kinds.set(kindOf(one), (kinds.get(kindOf(one)) ?? 0) + 1);
    const series = asked.map((one) => new URL(one.url)).filter((one) => one.searchParams.has('names') && !one.searchParams.has('from'));
    const widest = series.sort((a, b) => a.searchParams.getAll('names').length - b.searchParams.getAll('names').length).at(-1);
    if (!widest) throw new Error('the page asked for no series');
    const perMinute = [...kinds].map(([kind, count]) => `${kind} ${((60 * count) / RECORD_SECONDS).toFixed(0)}`).join(', ');
    console.log(`a page asks in a minute, after its start: ${perMinute}; its charts show ${widest.searchParams.getAll('names').length} series in ${widest.searchParams.get('buckets')} buckets`);
    return { series: widest.pathname + widest.search };
  } finally {
    await browser.close();
  }
}

function kindOf(url) {
  return new URL(url).pathname.split('/').at(-1);
}

/** The process of the viewers. */
async function watch({ url, token, runId, series }) {
  const seen = { bytes: 0, requests: 0, events: 0, failures: 0, failure: '' };
  const all = Array.from({ length: viewers }, () => new Viewer(url, token, runId, series, seen));
  for (const viewer of all) {
    await viewer.open();
    await sleep(2_000 / viewers); // people come at any time
  }
  process.on('message', () => process.send({ ...seen, bytes: all.reduce((sum, viewer) => sum + viewer.bytes, 0) }));
  process.send('open');
}

class Viewer {
  #sockets = new Set();
  #agent = new Agent({ keepAlive: true, maxSockets: 6 });
  #asking = false;
  #again = false;
  #updatedAt;
  #known = { updates: 0, at: 0, last: 0 };

  constructor(url, token, runId, series, seen) {
    Object.assign(this, { url, token, runId, series: new URL(series, url), seen });
  }

  get bytes() {
    return [...this.#sockets].reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  }

  async open() {
    const run = `/api/v1/runs/${this.runId}`;
    await this.#get('/api/v1/session');
    this.#hold('/api/v1/watch');
    await Promise.all(['/api/v1/workers', '/api/v1/cluster', run, `${run}/evaluations`, `${run}/spec`].map((place) => this.#get(place)));
    this.#take(await this.#get(this.series.pathname + this.series.search));
    setTimeout(() => void this.#continue(), 2_000);
    // As for pages that were opened long ago: not all within the seconds after the viewers have come.
    for (const [place, everyMs] of [['/api/v1/workers', 30_000], ['/api/v1/cluster', 60_000]]) {
      setTimeout(() => {
        void this.#get(place);
        setInterval(() => void this.#get(place), everyMs);
      }, Math.random() * everyMs);
    }
  }

  #take(bytes) {
    const answer = JSON.parse(bytes);
    const lasts = answer.series.map(({ x }) => x.at(-1) ?? 0);
    this.#known = { updates: answer.updates, at: performance.now(), last: Math.max(this.#known.last, ...lasts) };
    // Series that have ended long ago are not asked for from there on.
    this.from = Math.min(...lasts.filter((last) => last >= 0.96 * this.#known.last));
  }

  async #continue() {
    const before = this.#known;
    const query = new URLSearchParams(this.series.search);
    query.set('from', String(this.from));
    query.set('buckets', '256');
    this.#take(await this.#get(`${this.series.pathname}?${query}`));
    const { updates, at } = this.#known;
    const perBucket = updates / Number(this.series.searchParams.get('buckets'));
    const next = updates > before.updates ? Math.min(15_000, Math.max(2_000, perBucket / ((updates - before.updates) / (at - before.at)))) : 2_000;
    setTimeout(() => void this.#continue(), next);
  }

  async #refresh() {
    this.#again = this.#asking;
    if (this.#asking) return;
    this.#asking = true;
    await this.#get(`/api/v1/runs/${this.runId}/evaluations`);
    this.#asking = false;
    if (this.#again) await this.#refresh();
  }

  #hold(place) {
    let text = '';
    this.#request(place, (answer) => {
      answer.setEncoding('utf8').on('data', (chunk) => {
        const frames = (text + chunk).split('\n\n');
        text = frames.pop();
        for (const frame of frames) {
          const data = /^data: (.*)$/m.exec(frame)?.[1];
          if (data === undefined) continue;
          this.seen.events += 1;
          const { run } = JSON.parse(data);
          if (run?.runId !== this.runId) continue;
          if (this.#updatedAt !== undefined && run.updatedAt !== this.#updatedAt) void this.#refresh();
          this.#updatedAt = run.updatedAt;
        }
      });
      answer.on('end', () => this.#fail(`${place} ended`));
    });
  }

  #get(place) {
    return new Promise((resolve) => {
      this.#request(place, (answer) => {
        const chunks = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('end', () => {
          const bytes = Buffer.concat(chunks);
          resolve(answer.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes);
        });
      });
    });
  }

  #request(place, hear) {
    this.seen.requests += 1;
    const asked = request(this.url + place, { agent: this.#agent, headers: { authorization: `Bearer ${this.token}`, 'accept-encoding': 'gzip' } }, (answer) => {
      if (answer.statusCode !== 200) this.#fail(`${place} answers ${answer.statusCode}`);
      hear(answer);
    });
    asked.on('socket', (socket) => this.#sockets.add(socket));
    asked.on('error', (error) => this.#fail(`${place}: ${error.message}`));
    asked.end();
  }

  #fail(why) {
    this.seen.failures += 1;
    this.seen.failure = why;
  }
}

if (values.audience !== undefined) await watch(JSON.parse(values.audience));
else if (process.send) await pace();
else await measure();

/**
 * How long the page of a long run makes people wait, in a real browser with a real coordinator: until everything on screen is drawn
 * after a navigation, and after a zoom; and how many bytes that takes.
 *
 *   node bench/page.mjs [--updates 1000000] [--views 15] [--restarts 5] [--zooms 24] [--window 1280x900] [--data-dir FOLDER]
 *
 * A first view is that of a browser that was never here: a profile without caches, logged in. A second view is the same address again
 * in the same browser. `nothing cached`: the coordinator has just started, and has never read the metrics. `as soon as it listens`: it has
 * its cache of series on disk, and is not done with its start. `started again`: the same 5 s later. `in memory`: the run was looked at
 * before. A view ends when the last chart that can be
 * seen is drawn and that frame was shown; a zoom is that time from letting go of the mouse, and ends when every chart of metrics in the
 * window was drawn from the answer to the zoom. The benchmark fails where a chart has no values, or was not drawn anew. Zooms never ask
 * for the same range twice. `tall` is a window that shows every chart at once, which is the most that a page can draw.
 * `--data-dir` keeps the run for the next time.
 */
/* global document, innerHeight, addEventListener, requestAnimationFrame, CanvasRenderingContext2D -- of the page */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const root = path.dirname(import.meta.dirname);
const { makeLongRun } = await import(path.join(root, 'packages/coordinator/dist/testing/long-run.js'));

const { values } = parseArgs({
  options: {
    updates: { type: 'string', default: '1000000' },
    views: { type: 'string', default: '15' },
    restarts: { type: 'string', default: '5' },
    zooms: { type: 'string', default: '24' },
    window: { type: 'string', default: '1280x900' },
    'data-dir': { type: 'string' },
  },
});
const [updates, views, restarts, zooms] = [values.updates, values.views, values.restarts, values.zooms].map(Number);
const [width, height] = values.window.split('x').map(Number);
const TALL = 5_000;
const RUN = 'mnist-long';
const dataDir = values['data-dir'] ?? mkdtempSync(path.join(tmpdir(), 'dd2-page-'));
const cacheDir = path.join(dataDir, 'cache', 'series');
const metrics = path.join(dataDir, 'runs', RUN, 'metrics.jsonl');
const browserOptions = { executablePath: '/usr/bin/chromium', headless: true, args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] };

const quantile = (numbers, share) => numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(share * numbers.length))];
const ms = (value) => `${value.toFixed(0)} ms`;
const kb = (bytes) => `${(bytes / 1e3).toFixed(1)} kB`;
const print = (what, figure, note = '') => console.log(`${what.padEnd(40)}${figure.padStart(10)}  ${note}`);
function printTimes(what, times, note) {
  print(what, ms(quantile(times, 0.5)), `worst of ${times.length} ${ms(Math.max(...times))}; ${note}; load ${loadavg()[0].toFixed(1)}`);
}

/** Runs in the page before its scripts: notes when charts are drawn, and when such a frame was shown. */
function watchDrawing() {
  const seen = { drawn: new Map(), lastDraw: 0, shown: 0, released: 0 };
  globalThis.ddBench = seen;
  const clear = CanvasRenderingContext2D.prototype.clearRect;
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    const host = this.canvas.closest('.chart-host');
    if (host || !this.canvas.isConnected) {
      const at = performance.now();
      seen.drawn.set(this.canvas, at);
      seen.lastDraw = at;
      // By the second frame from now this one is out, and not only handed over.
      requestAnimationFrame(() => requestAnimationFrame(() => (seen.shown = seen.lastDraw === at ? performance.now() : seen.shown)));
    }
    return clear.apply(this, box);
  };
  addEventListener('mouseup', ({ timeStamp }) => (seen.released = timeStamp), { capture: true });
}

/** Runs in the page: undefined until nothing has happened for a while. */
function whenQuiet({ since, quietMs, asksSeries }) {
  const seen = globalThis.ddBench;
  const resources = performance.getEntriesByType('resource').filter(({ name, startTime }) => startTime >= since && name.includes('/api/') && !/watch/.test(name));
  const charts = [...document.querySelectorAll('.chart-host[role=img]')].filter((host) => {
    const { top, bottom } = host.getBoundingClientRect();
    return top < innerHeight && bottom > 0;
  });
  if (charts.length === 0 || document.querySelector('[aria-busy=true]') || seen.shown < seen.lastDraw) return undefined;
  const series = resources.filter(({ name }) => name.includes('names='));
  if (asksSeries && series.length === 0) return undefined;
  const last = Math.max(seen.shown, ...resources.map(({ responseEnd }) => responseEnd));
  if (performance.now() - last < quietMs) return undefined;
  const navigation = performance.getEntriesByType('navigation')[0];
  const span = (list) => ({ count: list.length, from: Math.min(...list.map(({ startTime }) => startTime)), until: Math.max(...list.map(({ responseEnd }) => responseEnd)), server: Math.max(...list.map(({ requestStart, responseStart }) => responseStart - requestStart)) });
  return {
    since,
    shown: seen.shown,
    released: seen.released,
    html: navigation.responseEnd,
    script: navigation.domContentLoadedEventEnd,
    series: span(series),
    other: span(resources.filter(({ name }) => !name.includes('names='))),
    charts: charts.map((host) => ({ label: host.getAttribute('aria-label'), metric: host.closest('.metrics') !== null, drawn: seen.drawn.get(host.querySelector('canvas')) ?? 0 })),
  };
}

/** @throws where the page has drawn no values; charts of a phase that a zoom does not touch have none */
async function quiet(page, { mayBeEmpty = false, ...options }) {
  const handle = await page.waitForFunction(whenQuiet, { since: 0, quietMs: 400, asksSeries: false, ...options }, { polling: 100, timeout: 120_000 });
  const seen = await handle.jsonValue();
  const isEmpty = ({ label }) => !/ from .* to /.test(label);
  const missing = seen.charts.find((chart) => chart.drawn === 0 || (isEmpty(chart) && !mayBeEmpty));
  if (missing || seen.charts.every(isEmpty)) throw new Error(`not drawn: ${missing?.label}`);
  return seen;
}

/** Bytes that came over the wire for a page, by what they are. */
async function countBytes(page) {
  const client = await page.context().newCDPSession(page);
  await client.send('Network.enable');
  const kinds = new Map();
  const bytes = { page: 0, data: 0, images: 0, streams: 0 };
  client.on('Network.responseReceived', ({ requestId, response: { url } }) => {
    const { pathname } = new URL(url);
    kinds.set(requestId, /watch$/.test(pathname) ? 'streams' : /grid$/.test(pathname) ? 'images' : pathname.startsWith('/api/') ? 'data' : 'page');
  });
  client.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (kinds.has(requestId)) bytes[kinds.get(requestId)] += encodedDataLength;
  });
  client.on('Network.dataReceived', ({ requestId, encodedDataLength }) => {
    if (kinds.get(requestId) === 'streams') bytes.streams += encodedDataLength; // they do not finish
  });
  return bytes;
}

async function startCoordinator() {
  const child = spawn(process.execPath, [path.join(root, 'packages/cli/bin/dd2.mjs'), 'coordinator', '--data-dir', dataDir, '--port', '0', '--http-port', '0'], { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  const url = await new Promise((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      text += chunk;
      const found = /page at (\S+)/.exec(text);
      if (found) resolve(found[1]);
    });
    child.once('exit', (code) => reject(new Error(`the coordinator ended with ${code}: ${text}`)));
  });
  const stop = async () => {
    child.removeAllListeners('exit');
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  };
  return { url, stop };
}

const sessions = new Map();

/** A browser that was never here, but may come in. */
async function visitor(browser, url, size = { width, height }) {
  const context = await browser.newContext({ viewport: size });
  if (sessions.has(url)) await context.addCookies(sessions.get(url)); // one login is enough: they are rationed
  else {
    const token = readFileSync(path.join(dataDir, 'tokens/api'), 'utf8').trim();
    const answer = await context.request.post(`${url}/api/v1/session`, { data: { token } });
    if (!answer.ok()) throw new Error(`the login answers ${answer.status()}`);
    sessions.set(url, await context.cookies());
  }
  const page = await context.newPage();
  await page.addInitScript(watchDrawing);
  return { context, page };
}

async function view(page, url, asksSeries = false) {
  const bytes = await countBytes(page);
  await page.goto(`${url}/runs/${RUN}`, { waitUntil: 'commit' });
  return { ...(await quiet(page, { asksSeries })), bytes: { ...bytes } };
}

async function firstView(browser, url, size) {
  const { context, page } = await visitor(browser, url, size);
  const seen = await view(page, url, size !== undefined);
  await context.close();
  return seen;
}

function summary(all) {
  const part = (pick) => ms(quantile(all.map(pick), 0.5));
  const last = all.at(-1);
  return `html ${part(({ html }) => html)}, scripts ${part(({ script }) => script)}, answers ${part(({ other }) => other.until)}${last.series.count > 0 ? `, series ${part(({ series }) => series.until)} (${part(({ series }) => series.server)} in the server)` : ''}; ${last.charts.length} charts`;
}

function bytesOf(all) {
  const part = (kind) => quantile(all.map(({ bytes }) => bytes[kind]), 0.5);
  return `page ${kb(part('page'))}, data ${kb(part('data'))}, streams ${kb(part('streams'))}, grids ${kb(part('images'))}`;
}
const total = ({ bytes: { page, data, streams } }) => page + data + streams;

/** Drags over a chart, a different range each time: into the whole run, further in, and further. */
async function zoomTimes(page, count) {
  await page.locator('.metrics .chart-host').first().scrollIntoViewIfNeeded();
  await page.locator('.metrics').evaluate((metrics) => metrics.scrollIntoView());
  await quiet(page, { asksSeries: true });
  const over = page.locator('.metrics .chart-host .u-over').first();
  const all = [];
  for (let index = 0; index < count; index++) {
    const box = await over.boundingBox();
    const share = (index * 0.6180339887) % 1;
    const [from, to] = [0.05 + 0.45 * share, 0.55 + 0.4 * share];
    const y = box.y + box.height / 2;
    await page.mouse.move(box.x + box.width * from, y);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * ((from + to) / 2), y, { steps: 3 });
    await page.mouse.move(box.x + box.width * to, y, { steps: 3 });
    const since = await page.evaluate(() => performance.now());
    await page.mouse.up();
    const seen = await quiet(page, { since, asksSeries: true, mayBeEmpty: true });
    for (const { label, metric, drawn } of seen.charts) if (metric && / from /.test(label) && drawn < seen.series.until) throw new Error(`not drawn anew: ${label}`);
    all.push(seen);
    if (index % 3 < 2) continue;
    await over.dblclick(); // the whole run again
    await quiet(page, {});
  }
  return all;
}

function printZooms(what, all) {
  const part = (pick) => ms(quantile(all.map(pick), 0.5));
  const times = all.map(({ shown, released }) => shown - released);
  printTimes(what, times, `p95 ${ms(quantile(times, 0.95))}; asked after ${part(({ series, released }) => series.from - released)}, answered ${part(({ series, released }) => series.until - released)} (${part(({ series }) => series.server)} in the server), shown; ${all.at(-1).charts.length} charts`);
}

let coordinator;
const browser = await chromium.launch(browserOptions);
try {
  if (!existsSync(metrics)) {
    makeLongRun(dataDir, updates, { runId: RUN });
    print('the run', `${(statSync(metrics).size / 1e6).toFixed(0)} MB`, `${updates} updates`);
  }
  await (await browser.newPage()).close(); // the first page of a browser is slow whatever it shows

  const starts = [
    ['first view, nothing cached', 2, false, 0],
    ['first view, as soon as it listens', restarts, true, 0],
    ['first view, started again', restarts, true, 5_000],
  ];
  for (const [what, count, isCached, afterMs] of starts) {
    const [seen, tall] = [[], []];
    for (const [list, size] of [[seen, undefined], [tall, { width, height: TALL }]]) {
      for (let index = 0; index < count; index++) {
        if (!isCached) rmSync(cacheDir, { recursive: true, force: true });
        coordinator = await startCoordinator();
        await sleep(afterMs);
        list.push(await firstView(browser, coordinator.url, size));
        await coordinator.stop();
      }
    }
    printTimes(what, seen.map(({ shown }) => shown), summary(seen));
    printTimes('  tall', tall.map(({ shown }) => shown), summary(tall));
  }

  coordinator = await startCoordinator();
  const { url } = coordinator;
  await firstView(browser, url);
  for (const [suffix, size] of [['', undefined], [', tall', { width, height: TALL }]]) {
    const [first, second] = [[], []];
    for (let index = 0; index < views; index++) {
      const { context, page } = await visitor(browser, url, size);
      first.push(await view(page, url, size !== undefined));
      second.push(await view(page, url, size !== undefined));
      await context.close();
    }
    printTimes(`first view, in memory${suffix}`, first.map(({ shown }) => shown), summary(first));
    print('  over the wire', kb(quantile(first.map(total), 0.5)), `${bytesOf(first)}; without grids`);
    printTimes(`second view${suffix}`, second.map(({ shown }) => shown), summary(second));
    print('  over the wire', kb(quantile(second.map(total), 0.5)), `${bytesOf(second)}; without grids`);
    const { context, page } = await visitor(browser, url, size);
    await view(page, url, size !== undefined);
    printZooms(`zoom${suffix}`, await zoomTimes(page, zooms));
    await context.close();
  }
} finally {
  await browser.close();
  await coordinator?.stop();
  if (values['data-dir'] === undefined) rmSync(dataDir, { recursive: true, force: true });
}

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasBrowser, openPage, startBrowser } from './support/browser.js';
import { Cluster } from './support/cluster.js';
import { root, runDd2, startDd2, temporaryFolder, type Dd2Process } from './support/processes.js';

/** Text that a careless page would take for markup. */
const markup = '<img src=x onerror="document.title=1">';

/** A run of half a minute, with an evaluation every few seconds. */
const settings = ['phases.tune.updates=20', 'phases.regress.updates=20', 'phases.distill.align=10', 'phases.distill.generatorUpdates=200', 'evaluation.everyGeneratorUpdates=10'];

/** Looks again and again, on machines that do other things as well. */
const soon = <T>(look: () => T) => expect.poll(look, { timeout: 20_000 });

/** What a page of a run shows as its place: everything that a permalink must hold. */
async function place(page: Page): Promise<object> {
  return {
    overlaid: await page.getByRole('table', { name: 'Runs that are drawn' }).getByRole('row').count(),
    axis: await page.getByLabel('Over', { exact: true }).inputValue(),
    smoothing: await page.getByRole('slider', { name: 'Smoothing' }).inputValue(),
    logX: await page.getByLabel('Logarithmic x').isChecked(),
    step: await page.getByRole('slider', { name: 'Step of the sample grids' }).inputValue(),
    zoomed: await resetZoom(page).isEnabled(),
    chart: await fidChart(page).getAttribute('aria-label'),
  };
}

function fidChart(page: Page): Locator {
  return page.getByRole('img', { name: /^FID over steps/ });
}

function resetZoom(page: Page): Locator {
  return page.getByRole('group', { name: 'Charts' }).getByRole('button', { name: 'Reset zoom' });
}

/** Drags over a chart, from one share of its width to another. */
async function drag(page: Page, chart: Locator, from: number, to: number): Promise<void> {
  const box = await chart.boundingBox();
  if (!box) throw new Error('the chart is not on the page');
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * from, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * ((from + to) / 2), y);
  await page.mouse.move(box.x + box.width * to, y);
  await page.mouse.up();
}

/** The range of what a canvas shows. */
function brightnessOf(canvas: Locator): Promise<{ readonly darkest: number; readonly brightest: number }> {
  return canvas.evaluate((element) => {
    const shown = element as unknown as { readonly width: number; readonly height: number; getContext(kind: '2d'): { getImageData(...box: number[]): { readonly data: Uint8ClampedArray } } };
    const values = shown.getContext('2d').getImageData(0, 0, shown.width, shown.height).data.filter((_, index) => index % 4 === 0);
    return { darkest: values.reduce((a, b) => Math.min(a, b)), brightest: values.reduce((a, b) => Math.max(a, b)) };
  });
}

describe.skipIf(!hasBrowser)('the page, in a browser, with a cluster', { timeout: 240_000 }, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let cluster: Cluster;
  let named: Dd2Process;
  let browser: Browser;
  let page: Page;
  let troubles: readonly string[];
  let address = '';
  let link = '';
  let token = '';
  let runId = '';

  beforeAll(async () => {
    folder = await temporaryFolder();
    cluster = await Cluster.start({ dataDir: folder.path, workers: 1 });
    named = startDd2(['worker', '--coordinator', cluster.address, '--data-dir', folder.path, '--name', markup]);
    [, address = ''] = await cluster.coordinator.until(/page at (\S+)/);
    token = (await readFile(join(folder.path, 'tokens/api'), 'utf8')).trim();
    link = (await runDd2(['dashboard', '--http', address, '--data-dir', folder.path])).output.trim();
    browser = await startBrowser();
    ({ page, troubles } = await openPage(browser));
  }, 120_000);

  afterAll(async () => {
    await browser.close();
    named.child.kill('SIGKILL');
    await named.exit;
    await cluster.dispose();
    await folder.dispose();
  });

  /** The last part of every test: nothing went wrong that nobody looked at. */
  const untroubled = (): void => expect(troubles).toEqual([]);

  it('asks for the token, and the link of `dd2 dashboard` logs in', async () => {
    const stranger = await openPage(browser);
    await stranger.page.goto(`${address}/workers`);
    await stranger.page.getByLabel('API token').fill('not-the-token-of-this-coordinator');
    await stranger.page.getByRole('button', { name: 'Log in' }).click();
    await stranger.page.getByText('UNAUTHENTICATED').first().waitFor();
    await stranger.page.getByLabel('API token').fill(token);
    await stranger.page.getByRole('button', { name: 'Log in' }).click();
    await stranger.page.getByRole('heading', { name: 'Workers', level: 1 }).waitFor(); // where it wanted to go
    await stranger.page.context().close();

    expect(link).toContain('#token=');
    await page.goto(link);
    await page.getByRole('heading', { name: 'No run yet' }).waitFor();
    expect(page.url()).not.toContain('token');
    expect(await page.evaluate('document.cookie')).toBe(''); // no script can read the session
    untroubled();
  });

  it('submits a run, after saying what is wrong with its spec', async () => {
    await page.getByRole('link', { name: 'Submit', exact: true }).click();
    const text = await readFile(join(root, 'configs/chaos.yaml'), 'utf8');
    const spec = page.getByRole('textbox', { name: 'Run spec (YAML)' });
    await spec.fill(text.replace('generatorUpdates: 60', 'generatorUpdates: many').replace('name: chaos', `name: ${markup}`));
    await page.getByText('phases.distill.generatorUpdates').first().waitFor();
    expect(await page.getByRole('button', { name: /^Submit the run/ }).isDisabled()).toBe(true);
    await spec.fill(text);
    await page.getByLabel('Overrides').fill(settings.join('\n'));
    await page.getByLabel('Base path').fill(join(root, 'configs'));
    await page.getByRole('button', { name: /^Submit the run/ }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Submit' }).click();
    await page.waitForURL(/\/runs\/chaos-/);
    runId = new URL(page.url()).pathname.slice('/runs/'.length);
    expect(await cluster.run('list')).toContain(runId);
    untroubled();
  });

  it('draws points of FID as they are measured, without being loaded again', async () => {
    await page.evaluate('window.sameDocument = true');
    await page.getByText('All measurements as a table').click();
    const rows = page.getByRole('table', { name: /measurements/i }).getByRole('row');
    await rows.nth(1).waitFor({ timeout: 120_000 });
    const before = await rows.count();
    const described = await fidChart(page).getAttribute('aria-label');
    await rows.nth(before + 1).waitFor({ timeout: 120_000 });
    expect(await fidChart(page).getAttribute('aria-label')).not.toBe(described);
    expect(await page.evaluate('window.sameDocument')).toBe(true);
    untroubled();
  });

  it('pauses and resumes a run, each confirmed and visible at once', async () => {
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('main').getByText('paused', { exact: true }).first().waitFor();
    expect(JSON.parse(await cluster.run('show', runId, '--json'))).toMatchObject({ state: 'paused' });
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('main').getByText('running', { exact: true }).first().waitFor();
    untroubled();
  });

  it('shows what a worker says of itself as text', async () => {
    await page.getByRole('link', { name: 'Workers', exact: true }).click();
    const cell = page.getByRole('cell', { name: markup });
    await cell.waitFor();
    expect(await page.locator('main img').count()).toBe(0);
    await page.getByText(runId).first().waitFor(); // a lease of the run
    await page.goBack();
    await page.waitForURL(`**/runs/${runId}`);
    untroubled();
  });

  it('follows a run to its end', async () => {
    await page.getByRole('main').getByText('completed', { exact: true }).first().waitFor({ timeout: 200_000 });
    expect(await cluster.run('show', runId)).toContain('completed');
    untroubled();
  });

  it('links the slider of the sample grids with the chart, both ways', async () => {
    const slider = page.getByRole('slider', { name: 'Step of the sample grids' });
    await slider.focus();
    await page.keyboard.press('Home');
    const grid = page.getByRole('img', { name: /^Sample grid of/ });
    const first = await grid.getAttribute('aria-label');
    await page.waitForURL(/[?&]at=\d+/);
    await page.keyboard.press('ArrowRight');
    await soon(() => grid.getAttribute('aria-label')).not.toBe(first);
    expect(await slider.inputValue()).toBe('1');
    // A click at the right end of the chart goes to the last step.
    await fidChart(page).scrollIntoViewIfNeeded();
    const box = await fidChart(page).boundingBox();
    if (!box) throw new Error('there is no chart');
    await page.mouse.click(box.x + box.width * 0.97, box.y + box.height * 0.6);
    await soon(async () => Number(await slider.inputValue())).toBeGreaterThan(10);
    await soon(async () => (await brightnessOf(grid)).brightest).toBeGreaterThan(200);
    untroubled();
  });

  it('zooms into every chart at once, at full resolution, and back', async () => {
    await page.getByRole('img', { name: /^Guidance loss/ }).scrollIntoViewIfNeeded(); // it is fetched and drawn when it is in sight
    const loss = page.getByRole('img', { name: /^Guidance loss.* from / });
    await loss.waitFor();
    const narrowed = page.waitForRequest((request) => /\/series\?.*from=/.test(request.url()));
    await drag(page, loss, 0.4, 0.7);
    expect((await narrowed).url()).toMatch(/[?&]to=/);
    await soon(() => new URL(page.url()).searchParams.get('from')).not.toBeNull();
    await resetZoom(page).click();
    await soon(() => new URL(page.url()).searchParams.get('from')).toBeNull();
    untroubled();
  });

  it('overlays runs, and a permalink holds the whole view', async () => {
    const other = await cluster.run('submit', join(root, 'configs/chaos.yaml'), '--set', 'seed=5', ...settings.flatMap((one) => ['--set', one]), '--set', 'phases.distill.generatorUpdates=20');
    expect(await cluster.ended(other)).toBe('completed');
    await page.getByRole('button', { name: 'Overlay runs' }).click();
    await page.getByRole('checkbox', { name: other }).check();
    await page.getByRole('table', { name: 'Runs that are drawn' }).getByRole('row').nth(2).waitFor();
    await page.getByLabel('Over', { exact: true }).selectOption({ label: 'generator updates' });
    await page.getByRole('slider', { name: 'Smoothing' }).fill('0.6');
    await page.getByLabel('Logarithmic x').check();
    await fidChart(page).scrollIntoViewIfNeeded();
    await drag(page, fidChart(page), 0.5, 0.9);
    await page.getByRole('slider', { name: 'Step of the sample grids' }).focus();
    await page.keyboard.press('Home');
    await page.waitForURL(/[?&]at=\d+/);
    const held = await place(page);
    expect(held).toMatchObject({ overlaid: 3, logX: true, step: '0', zoomed: true });

    const elsewhere = await openPage(browser);
    await elsewhere.page.goto(link);
    await elsewhere.page.getByRole('heading', { name: 'Runs', level: 1 }).waitFor();
    await elsewhere.page.goto(page.url());
    await soon(() => place(elsewhere.page).catch(() => undefined)).toEqual(held);
    expect(elsewhere.troubles).toEqual([]);
    await elsewhere.page.context().close();
    untroubled();
  });

  it('is dark where the system is, and when it is told to', async () => {
    const brightness = (of: Page): Promise<number> =>
      of.evaluate(`getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)`);
    const dark = await openPage(browser, { colorScheme: 'dark' });
    await dark.page.goto(link);
    await dark.page.getByRole('heading', { name: 'Runs', level: 1 }).waitFor();
    expect(await brightness(dark.page)).toBeLessThan(200);
    await dark.page.context().close();
    expect(await brightness(page)).toBeGreaterThan(600);
    const theme = page.getByRole('button', { name: /^Theme/ });
    while (!((await theme.getAttribute('aria-label')) ?? (await theme.innerText())).startsWith('Theme: dark')) await theme.click();
    await soon(() => brightness(page)).toBeLessThan(200);
    await page.reload();
    await page.getByRole('heading', { name: 'chaos', level: 1 }).waitFor();
    expect(await brightness(page)).toBeLessThan(200);
    untroubled();
  });

  it('makes images in the browser, in one step and by the teacher', async () => {
    await page.getByRole('link', { name: 'Try it' }).click();
    await page.getByRole('heading', { name: `Try ${runId}`, level: 1 }).waitFor();
    await page.keyboard.press('7');
    await page.keyboard.press('Space');
    for (const name of ['Generator, one step', 'Teacher, token by token']) {
      const figure = page.getByRole('figure', { name });
      await figure.getByText(/\d ms/).first().waitFor({ timeout: 120_000 });
      // It is a picture: some of it is dark, some of it bright.
      const range = await brightnessOf(figure.locator('canvas'));
      expect(range.darkest, name).toBeLessThan(50);
      expect(range.brightest, name).toBeGreaterThan(200);
    }
    await page.getByText(/times as (fast|slow)|as fast as the teacher/).first().waitFor();
    untroubled();
  });
});

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasBrowser, openPage, startBrowser } from './support/browser.js';
import { Cluster } from './support/cluster.js';
import { root, runDd2, temporaryFolder } from './support/processes.js';

const settings = ['phases.tune.updates=10', 'phases.regress.updates=10', 'phases.distill.align=10', 'phases.distill.generatorUpdates=20', 'evaluation.everyGeneratorUpdates=10'];

describe.skipIf(!hasBrowser)('every view of the page is accessible (axe, WCAG A and AA)', { timeout: 120_000 }, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let cluster: Cluster;
  let browser: Browser;
  let axe = '';
  let address = '';
  let link = '';
  let views: Readonly<Record<string, string>> = {};

  beforeAll(async () => {
    axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    folder = await temporaryFolder();
    cluster = await Cluster.start({ dataDir: folder.path, workers: 1 });
    [, address = ''] = await cluster.coordinator.until(/page at (\S+)/);
    link = (await runDd2(['dashboard', '--http', address, '--data-dir', folder.path])).output.trim();
    const set = settings.flatMap((one) => ['--set', one]);
    const [a, b] = [await cluster.run('submit', `${root}/configs/chaos.yaml`, ...set), await cluster.run('submit', `${root}/configs/chaos.yaml`, ...set, '--set', 'seed=1')];
    expect([await cluster.ended(a), await cluster.ended(b)]).toEqual(['completed', 'completed']);
    views = {
      runs: '/',
      submit: `/submit?copy=${a}`,
      run: `/runs/${a}?runs=${b}&compare=${b}`,
      events: `/runs/${a}?tab=events`,
      spec: `/runs/${a}?tab=spec`,
      checkpoints: `/runs/${a}?tab=checkpoints`,
      workers: '/workers',
      try: `/try/${a}`,
      diff: `/diff?a=${a}&b=${b}`,
      'a run that is not there': '/runs/nothing-00000000',
      'no view': '/nothing',
    };
    browser = await startBrowser();
  }, 180_000);

  afterAll(async () => {
    await browser.close();
    await cluster.dispose();
    await folder.dispose();
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1280, 375]) {
      it(`${colorScheme}, ${width} pixels wide`, async () => {
        // The checker is put into the page by the test, not by what the page may load: the policy is not what is looked at here.
        const { page } = await openPage(browser, { colorScheme, viewport: { width, height: 900 }, bypassCSP: true });
        const violations = async (): Promise<object[]> => {
          await page.waitForLoadState('networkidle').catch(() => undefined); // streams of events stay open
          await page.evaluate(axe);
          const { violations: found } = await page.evaluate<AxeResults>(`axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })`);
          return found.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`) }));
        };
        const sideways = (): Promise<number> => page.evaluate(`document.documentElement.scrollWidth - document.documentElement.clientWidth`);
        await page.goto(`${address}/login`);
        await page.getByRole('heading', { level: 1 }).waitFor();
        expect(await violations(), 'login').toEqual([]);
        await page.goto(link);
        await page.getByRole('heading', { name: 'Runs', level: 1 }).waitFor();
        for (const [name, path] of Object.entries(views)) {
          await page.goto(`${address}${path}`);
          await page.getByRole('main').getByRole('heading').first().waitFor();
          await page.waitForTimeout(700); // what is asked for arrives
          expect(await violations(), name).toEqual([]);
          expect(await sideways(), `${name} scrolls sideways`).toBe(0);
        }
        await page.context().close();
      });
    }
  }
});

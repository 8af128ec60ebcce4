import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { httpOptions, pageLink } from './page.js';

const program = path.resolve(import.meta.dirname, '../bin/dd2.mjs');
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dd2-page-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function start(...args: string[]): { readonly child: ChildProcess; readonly output: () => string; readonly ended: Promise<number> } {
  const { DD2_HTTP_PORT: _port, DD2_HTTP: _http, DD2_TOKEN: _token, DD2_TOKEN_FILE: _file, ...env } = process.env;
  const child = spawn(process.execPath, [program, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (text += data.toString()));
  return { child, output: () => text, ended: once(child, 'close').then(([code]) => code as number) };
}

async function coordinator(dataDir: string, ...args: string[]): Promise<{ readonly url: string | undefined; readonly output: () => string; readonly stop: () => Promise<number> }> {
  const { child, output, ended } = start('coordinator', '--data-dir', dataDir, '--port', '0', ...args);
  const stop = (): Promise<number> => {
    child.kill('SIGTERM');
    return ended;
  };
  onTestFinished(async () => void (await stop()));
  await expect.poll(output, { timeout: 50_000 }).toContain('coordinator at ');
  return { url: /^page at (\S+)$/m.exec(output())?.[1], output, stop };
}

describe('the page of a coordinator', () => {
  it('has a link that logs in, which the coordinator itself never shows', async () => {
    const dataDir = path.join(folder, 'a');
    const { url = '', output, stop } = await coordinator(dataDir, '--http-port', '0');
    const token = (await readFile(path.join(dataDir, 'tokens/api'), 'utf8')).trim();
    const dashboard = start('dashboard', '--http', url, '--data-dir', dataDir);
    expect(await dashboard.ended).toBe(0);
    expect(dashboard.output()).toBe(`${url}/#token=${token}\n`);
    const login = await fetch(`${url}/api/v1/session`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token }) });
    expect(await login.json()).toEqual({ authenticated: true });
    expect(output()).not.toContain(token);

    const other = start('coordinator', '--data-dir', path.join(folder, 'b'), '--port', '0', '--http-port', new URL(url).port);
    expect(await other.ended).toBe(5);
    expect(other.output()).toMatch(/error UNAVAILABLE: cannot listen on .* \(--http-port\)\. Choose another port/);

    expect(await stop()).toBe(0);
  });

  it('is not there with --no-http', async () => {
    const { url, output } = await coordinator(path.join(folder, 'c'), '--no-http');
    expect(url).toBeUndefined();
    expect(output()).not.toMatch(/^page at|"page":/m);
  });
});

describe('dd2 dashboard', () => {
  it('says where a token is to be found, and sends none to another machine in plain text', async () => {
    const unknown = start('dashboard', '--data-dir', path.join(folder, 'nowhere'));
    expect(await unknown.ended).toBe(4);
    expect(unknown.output()).toMatch(/^error UNAUTHENTICATED: .*--token-file\n$/);
    process.env['DD2_TOKEN'] = 'a-token-of-somebody';
    onTestFinished(() => void delete process.env['DD2_TOKEN']);
    const { dashboardCommand } = await import('./commands/dashboard.js');
    const printed = (url: string, ...more: string[]): unknown => {
      const lines: string[] = [];
      const write = process.stdout.write.bind(process.stdout);
      process.stdout.write = (text: string | Uint8Array) => lines.push(String(text)) > 0;
      try {
        dashboardCommand().exitOverride().parse(['--http', url, ...more], { from: 'user' });
      } finally {
        process.stdout.write = write;
      }
      return lines.join('');
    };
    expect(() => printed('http://10.0.0.5:7080')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('plain text') as string }));
    expect(printed('http://10.0.0.5:7080', '--insecure')).toBe('http://10.0.0.5:7080/#token=a-token-of-somebody\n');
    expect(printed('https://dd2.example.org/page')).toBe('https://dd2.example.org/#token=a-token-of-somebody\n');
  });
});

it('a link holds the token where browsers do not send it', () => {
  const link = new URL(pageLink('http://[::1]:7080', 'a+b/c=#?'));
  expect([link.origin, link.pathname, link.search]).toEqual(['http://[::1]:7080', '/', '']);
  expect(new URLSearchParams(link.hash.slice(1)).get('token')).toBe('a+b/c=#?');
  expect(pageLink('http://127.0.0.1:1', undefined)).toBe('http://127.0.0.1:1/');
});

it('a port that was asked for is that one or an error; without one, any will do', () => {
  expect(httpOptions({ http: true })).toMatchObject({ port: 7080, orAnyPort: true, pageFolder: expect.stringContaining(path.join('dashboard', 'dist', 'page')) as string });
  expect(httpOptions({ http: true, httpPort: 0 })).toMatchObject({ port: 0, orAnyPort: false });
  expect(httpOptions({ http: false, httpPort: 1 })).toBeUndefined();
});

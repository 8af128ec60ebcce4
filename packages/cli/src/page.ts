import { createRequire } from 'node:module';
import path from 'node:path';
import type { HttpOptions } from '@dd2/coordinator';
import { Option } from 'commander';
import { wholeNumber } from './options.js';

export const HTTP_PORT = 7080;

/** Where a command that starts a coordinator has its page and API. */
export interface PageSettings {
  /** false: nowhere */
  readonly http: boolean;
  /** the usual one, or any free port when that is in use, unless told */
  readonly httpPort?: number | undefined;
}

const GROUP = 'Page and API:';

/** @param usual what is listened on when nothing is said */
export const httpPortOption = (usual: string): Option =>
  new Option('--http-port <number>', `port of the page and the HTTP API; 0 picks a free one (default: ${usual})`).env('DD2_HTTP_PORT').argParser(wholeNumber(0)).helpGroup(GROUP);

export const noHttpOption = (): Option => new Option('--no-http', 'no page and no HTTP API').helpGroup(GROUP);

/** What is listened on when nothing is said, in words. */
export const USUAL_PORT = `${HTTP_PORT}, or any when that is in use`;

/** The HTTP server of a coordinator; undefined when there is to be none. */
export function httpOptions({ http, httpPort }: PageSettings): HttpOptions | undefined {
  if (!http) return undefined;
  return { port: httpPort ?? HTTP_PORT, orAnyPort: httpPort === undefined, pageFolder: pageFolder() };
}

/** Where the build puts the page. */
export function pageFolder(): string {
  return path.join(path.dirname(createRequire(import.meta.url).resolve('@dd2/dashboard/package.json')), 'dist/page');
}

/** A link that logs in: browsers keep what follows the # to themselves, and the page forgets it as soon as it has logged in. */
export function pageLink(url: string, token: string | undefined): string {
  const { protocol, host } = new URL(url);
  return token === undefined ? `${protocol}//${host}/` : `${protocol}//${host}/#token=${encodeURIComponent(token)}`;
}

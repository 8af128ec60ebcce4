import { chmod, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Dd2Error } from '@dd2/core';
import { checkToken, equalTokens, hostOf, isLoopback, newToken, TlsCertificates, tokenOf, type Admit, type ServicePolicy, type TlsFiles } from '@dd2/proto';
import type { Logger } from 'pino';
import { RateLimit } from './rate-limit.js';
import { tokenFile, type TokenKind } from './token-file.js';
import { writeAtomically } from './run-folder.js';

/** Who may connect, and how. */
export interface AccessOptions {
  /** the coordinator's certificate; with `caFile` workers and clients must show one as well */
  readonly tls?: TlsFiles | undefined;
  /** allows to listen on a network without TLS */
  readonly insecure?: boolean | undefined;
  /** token that workers show; made in the data folder unless told */
  readonly joinTokenFile?: string | undefined;
  /** token that people and their tools show; made in the data folder unless told */
  readonly apiTokenFile?: string | undefined;
  /** token that lets monitoring read the metrics and nothing else; made in the data folder unless told */
  readonly metricsTokenFile?: string | undefined;
}

/** What each service lets in. */
export interface Access {
  /** for WorkerService */
  readonly worker: ServicePolicy;
  /** for RunService */
  readonly api: ServicePolicy;
  /** what HTTP requests show; without them everybody is let in, which is for tests */
  readonly tokens: Readonly<Record<'api' | 'metrics', string>> | undefined;
}

/** A run spec has a few KiB. */
const MAX_API_REQUEST_BYTES = 1024 * 1024;
const API_LIMITS: ApiLimits = { perSecond: 100, burst: 200, maxOpenCalls: 1_024 };

const tokenKinds = ['join', 'api', 'metrics'] as const satisfies readonly TokenKind[];
const names: Readonly<Record<TokenKind, string>> = { join: 'join token', api: 'API token', metrics: 'metrics token' };
const problems = { join: 'a worker needs the join token of its coordinator', api: 'this needs the API token of the coordinator' } as const;

/**
 * The certificates that a coordinator listens with; undefined is plain text.
 * @throws {Dd2Error} INVALID_ARGUMENT for plain text on a network, and for certificates that cannot be used
 */
export function secureTransport(host: string, options: AccessOptions | undefined, logger: Logger): TlsCertificates | undefined {
  if (options?.tls) {
    return TlsCertificates.load(options.tls, {
      onReload: () => logger.info('new certificates are in use'),
      onTrouble: (error) => logger.error({ err: error }, 'new certificates cannot be used, those before stay'),
    });
  }
  if (isLoopback(host) || options?.insecure === true) return undefined;
  throw new Dd2Error('INVALID_ARGUMENT', `without TLS, whoever is on the network of ${host} can read and change everything`, {
    field: 'host',
    remedy: 'Name a folder with certificates (--certs; `dd2 certs init` makes one), or say --insecure',
  });
}

/**
 * Whom a coordinator lets in. Its tokens are made on the first start and stay.
 * @param options without them there are no tokens, which is for tests
 * @throws {Dd2Error} INVALID_ARGUMENT for files that cannot be used
 */
export async function openAccess(dataDir: string, options: AccessOptions | undefined, logger: Logger): Promise<Access> {
  const tokens = options && {
    join: options.joinTokenFile === undefined ? await ownToken(dataDir, 'join', logger) : await givenToken(options.joinTokenFile),
    api: options.apiTokenFile === undefined ? await ownToken(dataDir, 'api', logger) : await givenToken(options.apiTokenFile),
    metrics: options.metricsTokenFile === undefined ? await ownToken(dataDir, 'metrics', logger) : await givenToken(options.metricsTokenFile),
  };
  if (tokens) {
    requireDifferent(tokens.join, tokens.api, options.apiTokenFile ?? tokenFile(dataDir, 'api'));
    for (const other of [tokens.join, tokens.api]) requireDifferent(other, tokens.metrics, options.metricsTokenFile ?? tokenFile(dataDir, 'metrics'));
  }
  const limits = apiLimits(API_LIMITS);
  return {
    worker: { admit: tokens && requireToken('join', tokens) },
    api: { admit: tokens ? both(requireToken('api', tokens), limits) : limits, maxRequestBytes: MAX_API_REQUEST_BYTES },
    tokens: tokens && { api: tokens.api, metrics: tokens.metrics },
  };
}

/** @throws {Dd2Error} INVALID_ARGUMENT */
function requireDifferent(one: string, other: string, field: string): void {
  if (equalTokens(one, other)) throw new Dd2Error('INVALID_ARGUMENT', 'workers, people and monitoring need different tokens', { field, remedy: 'Make a new one' });
}

function requireToken(kind: 'join' | 'api', tokens: Readonly<Record<TokenKind, string>>): Admit {
  const problem = problems[kind];
  const remedy = `Name the coordinator's data folder with --data-dir, or a copy of its tokens/${kind} with --token-file`;
  return ({ metadata }) => {
    const shown = tokenOf(metadata);
    if (shown === undefined) throw new Dd2Error('UNAUTHENTICATED', problem, { remedy });
    if (equalTokens(shown, tokens[kind])) return undefined;
    const other = tokenKinds.find((candidate) => equalTokens(shown, tokens[candidate]));
    throw new Dd2Error('UNAUTHENTICATED', other ? `this is the ${names[other]}: ${problem}` : `this is not the coordinator's ${names[kind]}`, { remedy });
  };
}

export interface ApiLimits {
  /** requests for each address that they come from */
  readonly perSecond: number;
  /** requests of one address at once, after a pause */
  readonly burst: number;
  /** requests that are open at the same time, most of them people who watch runs */
  readonly maxOpenCalls: number;
}

/** Admits requests to RunService within limits. */
export function apiLimits({ perSecond, burst, maxOpenCalls }: ApiLimits): Admit {
  const rate = new RateLimit({ perSecond, burst });
  let open = 0;
  return ({ peer }) => {
    const retryAfterMs = rate.take(hostOf(peer));
    if (retryAfterMs > 0) {
      throw new Dd2Error('RESOURCE_EXHAUSTED', `more than ${perSecond} requests a second came from here`, { remedy: `Try again in ${retryAfterMs} ms`, details: { retryAfterMs } });
    }
    if (open >= maxOpenCalls) {
      throw new Dd2Error('RESOURCE_EXHAUSTED', `${open} requests are open, which is the limit`, { remedy: 'End those that watch runs nobody looks at' });
    }
    open += 1;
    return () => (open -= 1);
  };
}

function both(first: Admit, second: Admit): Admit {
  return (call) => {
    first(call);
    return second(call);
  };
}

async function givenToken(file: string): Promise<string> {
  return checkToken(
    await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new Dd2Error('INVALID_ARGUMENT', `the token cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { field: file, remedy: 'Name a file that the coordinator may read', cause });
    }),
    file,
  );
}

/** The coordinator that holds the data folder is alone in making its tokens. */
async function ownToken(dataDir: string, kind: TokenKind, logger: Logger): Promise<string> {
  const file = tokenFile(dataDir, kind);
  const folder = dirname(file);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await keepPrivate(folder, 0o700, logger);
  const exists = await stat(file).then(
    () => true,
    () => false,
  );
  // Complete or not there: a worker that starts meanwhile must not read half of it.
  if (!exists) await writeAtomically(file, `${newToken()}\n`, 0o600);
  await keepPrivate(file, 0o600, logger);
  return givenToken(file);
}

async function keepPrivate(path: string, mode: number, logger: Logger): Promise<void> {
  const { mode: found } = await stat(path);
  if ((found & 0o077) === 0) return;
  logger.warn({ path }, 'other users could read this, now they cannot');
  await chmod(path, mode);
}

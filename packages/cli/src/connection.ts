import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Dd2Error } from '@dd2/core';
import { tokenFile, type TokenKind } from '@dd2/coordinator/token-file';
import { checkToken, TlsCertificates, type ClientOptions, type TlsWatch } from '@dd2/proto';
import { Command, Option } from 'commander';
import { clientCertificates } from './certs/folder.js';
import { serverOption } from './options.js';
import { isElsewhere, isOnLoopback, schemeOf } from './server-address.js';

export { isElsewhere };

/** How a command shows a coordinator who it is, and makes sure who the coordinator is. */
export interface ConnectionOptions {
  readonly dataDir?: string;
  readonly tokenFile?: string;
  readonly certs?: string;
  readonly insecure?: boolean;
}

/** Options of a command that asks a coordinator. */
export interface ServerOptions extends ConnectionOptions {
  /** HOST:PORT or a URL, see `parseServer` */
  readonly server: string;
}

/** Where a coordinator has its tokens unless told otherwise. */
const DATA_DIR = '.dd2';

/** Where help lists these options. */
export const CONNECTION_GROUP = 'Connection:';

/** TLS of a command that listens or dials. */
export const certsOption = (): Option => new Option('--certs <folder>', 'TLS with the certificates of this folder; `dd2 certs init` makes one').env('DD2_CERTS').helpGroup(CONNECTION_GROUP);

/** The connection options of a command that dials a coordinator. */
export const connectionOptions = (): Option[] => [
  new Option('--data-dir <folder>', `data folder of a coordinator on this machine: the token is read there (default: ${DATA_DIR})`).helpGroup(CONNECTION_GROUP),
  new Option('--token-file <file>', "file with the coordinator's token; or the token itself in DD2_TOKEN").env('DD2_TOKEN_FILE').helpGroup(CONNECTION_GROUP),
  certsOption(),
  new Option('--insecure', 'send the token without TLS to another machine').helpGroup(CONNECTION_GROUP),
];

/** Listening on a network without TLS. */
export const insecureListenOption = (): Option => new Option('--insecure', 'listen on a network without TLS: whoever is on it reads everything, tokens too').default(false);

/** A command that asks a coordinator: its action's options are `ServerOptions`. */
export function clientCommand(name: string): Command {
  const command = new Command(name).addOption(serverOption().helpGroup(CONNECTION_GROUP));
  for (const option of connectionOptions()) command.addOption(option);
  return command;
}

/**
 * What a client needs to be let in. The token's file is read again until it is there: a worker may be started first.
 * @param server HOST:PORT or a URL, see `parseServer`. An https URL without certificates trusts the authorities that Node knows.
 * @throws {Dd2Error} INVALID_ARGUMENT for files that cannot be used, and for a token that would cross a network in plain text
 */
export function connect(kind: TokenKind, server: string, options: ConnectionOptions, watch?: TlsWatch): Pick<ClientOptions, 'tls' | 'token'> {
  const scheme = schemeOf(server);
  if (scheme === 'http' && options.certs !== undefined) {
    throw new Dd2Error('INVALID_ARGUMENT', 'http:// is without TLS, and certificates are for TLS', { field: '--server', remedy: 'Say https://, or leave --certs (and DD2_CERTS) away' });
  }
  const token = (): string | undefined => tokenFor(kind, server, options);
  token();
  const files = options.certs === undefined ? undefined : clientCertificates(options.certs);
  return { token, tls: files === undefined && scheme !== 'https' ? undefined : TlsCertificates.load(files ?? {}, watch) };
}

/** The token to show to a server (HOST:PORT or a URL), if one is known. @throws {Dd2Error} INVALID_ARGUMENT, as `connect` does */
export function tokenFor(kind: TokenKind, server: string, options: ConnectionOptions): string | undefined {
  const found = findToken(kind, options, !isElsewhere(server));
  const scheme = schemeOf(server);
  const encrypted = scheme === undefined ? options.certs !== undefined : scheme === 'https';
  if (found === undefined || encrypted || isOnLoopback(server) || options.insecure === true) return found;
  throw new Dd2Error('INVALID_ARGUMENT', `the token would cross the network to ${server} in plain text`, {
    field: scheme === undefined ? '--certs' : '--server',
    remedy: scheme === undefined ? 'Name a folder with certificates (`dd2 certs init` makes one), or say --insecure' : 'Say https://, or --insecure',
  });
}

/** The same for the coordinator of a data folder, whatever the environment says about others. */
export function connectLocal(kind: TokenKind, dataDir: string, certs?: string): Pick<ClientOptions, 'tls' | 'token'> {
  return { token: () => readOptional(tokenFile(path.resolve(dataDir), kind)), tls: certs === undefined ? undefined : TlsCertificates.load(clientCertificates(certs)) };
}

/** The token of the coordinator on this machine goes to no other machine, unless its folder is named. */
function findToken(kind: TokenKind, { tokenFile: named, dataDir }: ConnectionOptions, local: boolean): string | undefined {
  if (named !== undefined) return checkToken(readRequired(named), named);
  const given = process.env['DD2_TOKEN'];
  if (given !== undefined && given !== '') return checkToken(given, 'DD2_TOKEN');
  if (dataDir === undefined && !local) return undefined;
  return readOptional(tokenFile(path.resolve(dataDir ?? DATA_DIR), kind));
}

function readRequired(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw unreadable('--token-file', cause, 'Copy it from tokens/ in the data folder of the coordinator');
  }
}

/** A data folder without the file has no token yet; a file that must not be read is somebody else's. */
function readOptional(file: string): string | undefined {
  try {
    return checkToken(readFileSync(file, 'utf8'), file);
  } catch (cause) {
    if (cause instanceof Dd2Error) throw cause;
    if (cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')) return undefined;
    throw unreadable(file, cause, 'Ask whoever runs the coordinator for a copy, and name it with --token-file');
  }
}

function unreadable(field: string, cause: unknown, remedy: string): Dd2Error {
  return new Dd2Error('INVALID_ARGUMENT', `the token cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { field, remedy, cause });
}

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Dd2Error } from '@dd2/core';
import { tokenFile, type TokenKind } from '@dd2/coordinator/token-file';
import { checkToken, hostOf, isLoopback, TlsCertificates, type ClientOptions, type TlsWatch } from '@dd2/proto';
import { Command, Option } from 'commander';
import { clientCertificates } from './certs/folder.js';
import { serverOption } from './options.js';

/** How a command shows a coordinator who it is, and makes sure who the coordinator is. */
export interface ConnectionOptions {
  readonly dataDir?: string;
  readonly tokenFile?: string;
  readonly certs?: string;
  readonly insecure?: boolean;
}

/** Options of a command that asks a coordinator. */
export interface ServerOptions extends ConnectionOptions {
  /** host:port */
  readonly server: string;
}

/** Where a coordinator has its tokens unless told otherwise. */
const DATA_DIR = '.dd2';

const GROUP = 'Connection:';

/** TLS of a command that listens or dials. */
export const certsOption = (): Option => new Option('--certs <folder>', 'TLS with the certificates of this folder; `dd2 certs init` makes one').env('DD2_CERTS').helpGroup(GROUP);

/** The connection options of a command that dials a coordinator. */
export const connectionOptions = (): Option[] => [
  new Option('--data-dir <folder>', `data folder of a coordinator on this machine: the token is read there (default: ${DATA_DIR})`).helpGroup(GROUP),
  new Option('--token-file <file>', "file with the coordinator's token; or the token itself in DD2_TOKEN").env('DD2_TOKEN_FILE').helpGroup(GROUP),
  certsOption(),
  new Option('--insecure', 'send the token without TLS to another machine').helpGroup(GROUP),
];

/** Listening on a network without TLS. */
export const insecureListenOption = (): Option => new Option('--insecure', 'listen on a network without TLS: whoever is on it reads everything, tokens too').default(false);

/** A command that asks a coordinator: its action's options are `ServerOptions`. */
export function clientCommand(name: string): Command {
  const command = new Command(name).addOption(serverOption().helpGroup(GROUP));
  for (const option of connectionOptions()) command.addOption(option);
  return command;
}

/**
 * What a client needs to be let in. The token's file is read again until it is there: a worker may be started first.
 * @param address host:port to dial
 * @throws {Dd2Error} INVALID_ARGUMENT for files that cannot be used, and for a token that would cross a network in plain text
 */
export function connect(kind: TokenKind, address: string, options: ConnectionOptions, watch?: TlsWatch): Pick<ClientOptions, 'tls' | 'token'> {
  const token = (): string | undefined => tokenFor(kind, address, options);
  token();
  return { token, tls: options.certs === undefined ? undefined : TlsCertificates.load(clientCertificates(options.certs), watch) };
}

/** The token to show at an address, host:port, if one is known. @throws {Dd2Error} INVALID_ARGUMENT, as `connect` does */
export function tokenFor(kind: TokenKind, address: string, options: ConnectionOptions): string | undefined {
  const local = isLoopback(hostOf(address));
  const found = findToken(kind, options, local);
  if (found === undefined || local || options.certs !== undefined || options.insecure === true) return found;
  throw new Dd2Error('INVALID_ARGUMENT', `the token would cross the network to ${address} in plain text`, {
    field: '--certs',
    remedy: 'Name a folder with certificates (`dd2 certs init` makes one), or say --insecure',
  });
}

/** The same for the coordinator of a data folder, whatever the environment says about others. */
export function connectLocal(kind: TokenKind, dataDir: string, certs?: string): Pick<ClientOptions, 'tls' | 'token'> {
  return { token: () => readOptional(tokenFile(path.resolve(dataDir), kind)), tls: certs === undefined ? undefined : TlsCertificates.load(clientCertificates(certs)) };
}

/** What the environment says about coordinators elsewhere is not meant for the processes of a cluster on this machine. */
export function withoutConnection(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { DD2_TOKEN: _token, DD2_TOKEN_FILE: _file, DD2_CERTS: _certs, DD2_JOIN_TOKEN_FILE: _join, DD2_API_TOKEN_FILE: _api, DD2_METRICS_TOKEN_FILE: _metrics, ...others } = environment;
  return others;
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

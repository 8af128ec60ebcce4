import { joinAddress, hostOf } from '@dd2/proto';
import { parseServer } from '../server-address.js';
import { scopeArguments, type KubectlScope } from './kubectl.js';
import { loginFiles, type Login } from './login.js';
import { COORDINATOR_SERVICE } from './secrets.js';

/** What a person, or a program, needs after a login. */
export interface LoginSummary {
  readonly namespace: string;
  readonly folder: string;
  /** end of the client's certificate, ISO 8601 */
  readonly expires: string;
  readonly server: string;
  /** address of the page */
  readonly page: string;
  /** the command that must run meanwhile; null when the coordinator can be dialled as it is */
  readonly portForward: readonly string[] | null;
  readonly environment: Readonly<Record<string, string>>;
}

/** @param server how the coordinator is dialled; through a port-forward when absent */
export function summarize(scope: KubectlScope, { folder, expires }: Login, server?: string): LoginSummary {
  const { name, grpcPort, httpPort } = COORDINATOR_SERVICE;
  const dialled = server ?? `https://127.0.0.1:${grpcPort}`;
  return {
    namespace: scope.namespace,
    folder,
    expires: expires.toISOString(),
    server: dialled,
    page: `https://${joinAddress(hostOf(parseServer(dialled).address), httpPort)}`,
    portForward: server === undefined ? ['kubectl', ...scopeArguments(scope), 'port-forward', `service/${name}`, String(grpcPort), String(httpPort)] : null,
    environment: { DD2_SERVER: dialled, DD2_CERTS: folder, DD2_TOKEN_FILE: `${folder}/token` },
  };
}

/** The summary as commands to copy. */
export function renderLogin({ folder, expires, page, portForward, environment }: LoginSummary): string {
  const exports = Object.entries(environment).map(([name, value]) => `  export ${name}=${quoted(value)}`);
  return [
    `wrote ${folder}: token and certificate, which counts until ${expires.slice(0, 10)}; they are worth a password`,
    '',
    ...(portForward === null ? [] : ['In a terminal of its own:', `  ${portForward.map(quoted).join(' ')}`, '', 'Then, here:']),
    ...exports,
    '  dd2 run list',
    `  dd2 dashboard --http ${page}`,
    '',
    'The last one prints a link to the page. Browsers warn of its certificate: they do not know the authority of this installation.',
  ].join('\n');
}

/** The same without `dd2 kubernetes login`: commands that write the files. */
export function renderByHand(scope: KubectlScope, folder: string): string {
  const get = (secret: string, key: string): string =>
    ['kubectl', ...scopeArguments(scope), 'get', 'secret', secret, '-o', `go-template={{index .data "${key}" | base64decode}}`].map(quoted).join(' ');
  return ['(', '  set -e', '  umask 077', `  mkdir -p ${quoted(folder)}`, ...loginFiles.map(({ file, secret, key }) => `  ${get(secret, key)} > ${quoted(`${folder}/${file}`)}`), ')'].join('\n');
}

/** For a POSIX shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

import { Dd2Error } from '@dd2/core';
import { Command, InvalidArgumentError, Option } from 'commander';
import { connectionOptions, tokenFor, type ConnectionOptions } from '../connection.js';
import { HTTP_PORT, pageLink } from '../page.js';
import { print } from '../print.js';

interface DashboardOptions extends ConnectionOptions {
  readonly http?: string;
}

/** `dd2 dashboard` */
export function dashboardCommand(): Command {
  const command = new Command('dashboard')
    .description('print a link that opens the page of a coordinator and logs in')
    .addOption(new Option('--http <url>', `the page's address (default: http://127.0.0.1:${HTTP_PORT}, https with --certs)`).env('DD2_HTTP').argParser(pageUrl));
  for (const option of connectionOptions()) command.addOption(option);
  return command
    .addHelpText(
      'after',
      `
The link holds the API token after the #, which browsers do not send: keep the link to yourself. Browsers warn of a certificate that was
signed by an authority of your own (\`dd2 certs init\`, \`dd2 kubernetes login\`) until its ca.crt is among those that they trust.

Examples:
  dd2 dashboard
  dd2 dashboard --http https://dd2.example.org --token-file token
  dd2 dashboard --http https://127.0.0.1:7080 --certs dd2-access --token-file dd2-access/token`,
    )
    .action(({ http, ...connection }: DashboardOptions) => {
      const url = http ?? `${connection.certs === undefined ? 'http' : 'https'}://127.0.0.1:${HTTP_PORT}`;
      const { protocol, host } = new URL(url);
      // Whether the token is encrypted on its way is what the page's address says, not that there are certificates.
      const { certs: _certs, ...shown } = connection;
      const token = tokenFor('api', host, { ...shown, insecure: shown.insecure === true || protocol === 'https:' });
      if (token === undefined) {
        throw new Dd2Error('UNAUTHENTICATED', 'the API token of that coordinator is not known here', { remedy: 'Name its data folder with --data-dir, or a copy of its tokens/api with --token-file' });
      }
      print(pageLink(url, token));
    });
}

function pageUrl(text: string): string {
  if (URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol)) return text;
  throw new InvalidArgumentError(`It is a URL, for example http://127.0.0.1:${HTTP_PORT}.`);
}

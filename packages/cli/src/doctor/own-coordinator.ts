import { isElsewhere, type ServerOptions } from '../connection.js';

/**
 * The options with what the environment says about a coordinator of this very machine or container: its data folder and its API token. They are
 * meant for that one, and go to no other.
 */
export function withOwnCoordinator<Options extends ServerOptions>(options: Options, environment: NodeJS.ProcessEnv = process.env): Options {
  if (isElsewhere(options.server)) return options;
  const { DD2_DATA_DIR: dataDir, DD2_API_TOKEN_FILE: tokenFile } = environment;
  return { ...(dataDir && { dataDir }), ...(tokenFile && { tokenFile }), ...options };
}

/** What says how this machine's processes behave, whichever cluster they belong to. */
const shared: ReadonlySet<string> = new Set(['DD2_HTTP_PORT', 'DD2_LOG_FORMAT']);

/** The environment for processes of a cluster on this machine: what it says about coordinators and workers elsewhere is not meant for them. */
export function childEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('DD2_') || shared.has(name)));
}

import { execFileSync } from 'node:child_process';

/** Components came with 1.21, replacements with this version. */
const LEAST_MINOR = 22;

/** Why manifests cannot be rendered here, if they cannot. */
export const noKubectl = ((): string | undefined => {
  const needed = `kubectl 1.${LEAST_MINOR} or newer (https://kubernetes.io/docs/tasks/tools)`;
  let text: string;
  try {
    text = execFileSync('kubectl', ['version', '--client', '--output=json'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    return `${needed} is needed: ${String(error).split('\n')[0]}`;
  }
  const { clientVersion } = JSON.parse(text) as { clientVersion: { major: string; minor: string; gitVersion: string } };
  return Number(clientVersion.major) === 1 && Number.parseInt(clientVersion.minor) < LEAST_MINOR ? `${needed} is needed, this is ${clientVersion.gitVersion}` : undefined;
})();

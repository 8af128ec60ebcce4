import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';

/** What tests need beyond npm: Debian package -> the program that shows that it is there. One line each. */
const debianPackages = { chromium: 'chromium', openssl: 'openssl', iproute2: 'ip', iptables: 'iptables', 'redis-server': 'redis-server', zsh: 'zsh', fish: 'fish', kubectl: 'kubectl' };

/** Packages that not every Debian has, or not new enough: the least version, and where else the program is to be had. */
const notEverywhere = { kubectl: { least: [1, 22], from: 'https://kubernetes.io/docs/tasks/tools' } };

/** Installs what is missing where that is possible (Debian, as root), else prints the command. Returns an exit code. */
export async function installSystemPackages(run) {
  const missing = Object.keys(debianPackages).filter((name) => !isInstalled(debianPackages[name]));
  if (missing.length === 0) return 0;
  const install = ['install', '--yes', '--no-install-recommends'];
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) {
    console.log(`Tests that need ${missing.join(', ')} will be skipped.`);
    const packages = withoutUnavailable(missing);
    if (packages.length > 0) console.log(`To run them too: sudo apt-get update && sudo apt-get ${[...install, ...packages].join(' ')}`);
    return 0;
  }
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  console.log(`\n== system packages: ${missing.join(', ')}`);
  const updated = await run(['apt-get'], ['update', '-qq'], env);
  if (updated !== 0) return updated;
  const packages = withoutUnavailable(missing);
  return packages.length === 0 ? 0 : run(['apt-get'], ['-qq', ...install, ...packages], env);
}

/** Leaves out, and says so, what the machine's package sources do not have new enough. */
function withoutUnavailable(names) {
  return names.filter((name) => {
    if (!Object.hasOwn(notEverywhere, name)) return true;
    const { least, from } = notEverywhere[name];
    const offered = isAtLeast(candidateOf(name), least);
    if (!offered) console.log(`${name} ${least.join('.')} or newer, which tests need, is not among the packages of this machine: get it from ${from}`);
    return offered;
  });
}

/** The version that apt would install, such as `1:1.32.3-1`; empty when there is none. */
function candidateOf(name) {
  try {
    const text = execFileSync('apt-cache', ['policy', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, LC_ALL: 'C' } });
    return /^\s*Candidate: (\S+)/m.exec(text)?.[1] ?? '';
  } catch {
    return '';
  }
}

function isAtLeast(version, [leastMajor, leastMinor]) {
  const [, major, minor] = /^(?:\d+:)?(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) > leastMajor || (Number(major) === leastMajor && Number(minor) >= leastMinor);
}

/** Whether a program of that name is on the PATH, or in another of these folders. */
export function isInstalled(program, elsewhere = []) {
  return [...(process.env.PATH ?? '').split(path.delimiter), ...elsewhere].some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';

/** What tests need beyond npm: Debian package -> the program that shows that it is there. One line each. */
const debianPackages = { chromium: 'chromium', openssl: 'openssl', iproute2: 'ip', iptables: 'iptables', 'redis-server': 'redis-server', zsh: 'zsh', fish: 'fish' };

/** Installs what is missing where that is possible (Debian, as root), else prints the command. Returns an exit code. */
export async function installSystemPackages(run) {
  const missing = Object.keys(debianPackages).filter((name) => !isInstalled(debianPackages[name]));
  if (missing.length === 0) return 0;
  const install = ['install', '--yes', '--no-install-recommends', ...missing];
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) {
    console.log(`Tests that need ${missing.join(', ')} will be skipped. To run them too: sudo apt-get update && sudo apt-get ${install.join(' ')}`);
    return 0;
  }
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  console.log(`\n== system packages: ${missing.join(', ')}`);
  return (await run(['apt-get'], ['update', '-qq'], env)) || run(['apt-get'], ['-qq', ...install], env);
}

function isInstalled(program) {
  return (process.env.PATH ?? '').split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

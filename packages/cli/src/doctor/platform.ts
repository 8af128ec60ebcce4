import type { Finding } from './finding.js';

export interface Platform {
  readonly platform: string;
  readonly arch: string;
  /** version of the GNU C library; undefined for another one */
  readonly glibc: string | undefined;
}

/** For which the ONNX Runtime comes with binaries. */
const supported = new Set(['linux x64', 'linux arm64', 'darwin arm64', 'win32 x64', 'win32 arm64']);
/** What the Linux binaries are linked with. */
const LEAST_GLIBC = [2, 28] as const;

export function thisPlatform(): Platform {
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return { platform: process.platform, arch: process.arch, glibc: header.glibcVersionRuntime };
}

/** Whether the ONNX Runtime has binaries for this operating system and processor. */
export function checkPlatform({ platform, arch, glibc }: Platform = thisPlatform()): Finding {
  const name = `${platform} ${arch}`;
  const details = { platform, arch, ...(glibc === undefined ? {} : { glibc }) };
  if (!supported.has(name)) {
    return { check: 'platform', status: 'problem', message: `the ONNX Runtime has no binaries for ${name}`, remedy: `Use one of ${[...supported].join(', ')}`, details };
  }
  if (platform !== 'linux') return { check: 'platform', status: 'ok', message: name, details };
  if (glibc === undefined) {
    return { check: 'platform', status: 'problem', message: `${name} without the GNU C library, which the ONNX Runtime is linked with`, remedy: 'Use a system with glibc: Debian instead of Alpine, for example', details };
  }
  const [major = 0, minor = 0] = glibc.split('.').map(Number);
  if (major < LEAST_GLIBC[0] || (major === LEAST_GLIBC[0] && minor < LEAST_GLIBC[1])) {
    return { check: 'platform', status: 'problem', message: `${name} with glibc ${glibc}, which is too old for the ONNX Runtime`, remedy: `Use a system with glibc ${LEAST_GLIBC.join('.')} or newer`, details };
  }
  return { check: 'platform', status: 'ok', message: `${name}, glibc ${glibc}`, details };
}

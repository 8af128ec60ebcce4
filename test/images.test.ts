import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');
const dockerfile = readFileSync(path.join(root, 'infra/docker/Dockerfile'), 'utf8');
const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string };

/** The instructions of a Dockerfile, continued lines joined, without comments. */
const instructions = dockerfile
  .split('\n')
  .filter((line) => !line.startsWith('#'))
  .join('\n')
  .replaceAll('\\\n', ' ')
  .split('\n')
  .filter((line) => line.trim() !== '');
const stages = instructions.filter((line) => line.startsWith('FROM ')).map((line) => line.split(/\s+/)[3]);

describe('the Dockerfile', () => {
  it('starts from bases that are pinned by version and digest', () => {
    const bases = instructions.filter((line) => /^ARG \w+_IMAGE=/.test(line)).map((line) => line.slice(line.indexOf('=') + 1));
    expect(bases).toHaveLength(2);
    for (const base of bases) expect(base).toMatch(/^docker\.io\/[\w./-]+:\d+\.\d+\.\d+-[\w.-]+@sha256:[\da-f]{64}$/);
    const sources = instructions.filter((line) => line.startsWith('FROM ')).map((line) => line.split(/\s+/)[1] ?? '');
    for (const source of sources) expect(['${NODE_IMAGE}', '${CUDA_IMAGE}', 'scratch', ...stages]).toContain(source);
  });

  it.each(['dd2', 'dd2-gpu'])('ends %s as a user without rights, with what the manifests expect', (target) => {
    const start = instructions.findIndex((line) => line.startsWith('FROM ') && line.endsWith(` AS ${target}`));
    const end = instructions.findIndex((line, index) => index > start && line.startsWith('FROM '));
    const stage = instructions.slice(start, end === -1 ? undefined : end);
    expect(start).toBeGreaterThan(-1);
    for (const line of ['USER 10001:10001', 'WORKDIR /opt/dd2', 'ENTRYPOINT ["dd2"]', 'STOPSIGNAL SIGTERM']) expect(stage).toContain(line);
    expect(stage.join('\n')).toMatch(/HOME=\/tmp NODE_ENV=production DD2_LOG_FORMAT=json/);
    const doctor = stage.findIndex((line) => line.startsWith('RUN dd2 doctor'));
    expect(doctor).toBeGreaterThan(stage.indexOf('USER 10001:10001'));
    expect(stage.slice(doctor).filter((line) => /^(?:RUN|COPY|ADD|USER)/.test(line))).toHaveLength(1);
  });

  it('puts no secret into a layer, and takes no file from elsewhere', () => {
    for (const line of instructions.filter((line) => /^(?:ARG|ENV)/.test(line))) expect(line).not.toMatch(/token|password|secret/i);
    expect(instructions.filter((line) => /^ADD|^COPY \. /.test(line))).toEqual([]);
  });

  it('sees nothing of the folder but what it copies', () => {
    const ignored = readFileSync(path.join(root, '.dockerignore'), 'utf8').split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(ignored[0]).toBe('*');
    const copied = instructions.filter((line) => line.startsWith('COPY ') && !line.includes('--from=')).flatMap((line) => line.split(/\s+/).slice(1, -1));
    const allowed = ignored.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    for (const file of copied) expect(allowed.some((entry) => entry === file || entry.startsWith(`${file}/`))).toBe(true);
    for (const never of ['**/node_modules', '**/dist', '**/.dd2', '**/*.key', '**/.npmrc']) expect(ignored).toContain(never);
  });
});

describe('npm run images', () => {
  const run = (...args: string[]) => spawnSync(process.execPath, ['scripts/images.mjs', ...args], { cwd: root, encoding: 'utf8' });

  it('tells what it can do', () => {
    const { status, stdout } = run('--help');
    expect(status).toBe(0);
    expect(stdout).toContain(`localhost/dd2:${version}`);
    for (const option of ['--gpu', '--registry', '--tag', '--push', '--node-image', '--cuda-image', '--platform']) expect(stdout).toContain(option);
  });

  it.each([
    [['--push'], /--push needs a --registry/],
    [['--platform', 'linux/amd64,linux/arm64'], /several platforms need --push/],
    [['--registry', 'https://registry.example.org'], /registry\.example\.org\/me, not "https/],
    [['--tag', 'a b'], /"a b" is no tag/],
    [['--engine', 'lxc'], /podman or docker, not lxc/],
    [['--only', 'redis'], /dd2 or dd2-gpu, not redis/],
    [['--npmrc', 'no-such-file'], /there is no file no-such-file/],
    [['--npm-registry', 'https://me:secret@registry.example.org'], /without a password/],
    [['--nonsense'], /--nonsense/],
    [['dd2'], /dd2/],
  ])('refuses %j', (args, message) => {
    const { status, stderr } = run(...args);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: /);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('secret');
  });

  it('says what to install where there is no container engine', () => {
    const { status, stderr } = spawnSync(process.execPath, ['scripts/images.mjs'], { cwd: root, encoding: 'utf8', env: { PATH: '/nonexistent' } });
    expect(status).toBe(1);
    expect(stderr).toBe('error: there is no container engine: podman is not installed; docker is not installed. Install podman (Debian: apt-get install podman buildah runc) or docker\n');
  });
});

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { z } from 'zod';
import { root, startDd2 } from '../support/processes.js';
import { freePort } from '../support/cluster.js';

const run = promisify(execFile);
const serverVersion = z.looseObject({ serverVersion: z.looseObject({ minor: z.string() }) });

/** Images under other names than the manifests have, from the environment. */
export interface Images {
  readonly dd2?: string | undefined;
  readonly redis?: string | undefined;
}

/** dd2 in a namespace of its own on the cluster of the current kubeconfig, as somebody with a laptop has it. */
export class Installation {
  /** that of the kustomization, and later what `dd2 kubernetes login` writes */
  readonly folder: string;
  #forward: ChildProcess | undefined;
  /** whether the namespace is of this test, which may delete it */
  #made = false;
  #closed = false;
  #port = 0;

  constructor(
    readonly namespace: string,
    readonly images: Images,
  ) {
    this.folder = join(root, '.dd2', `kubernetes-${namespace}`);
  }

  /** `kubectl apply -k` of a kustomization that changes namespace and images, and what this cluster is too old for. */
  async apply(): Promise<void> {
    const there = (await run('kubectl', ['get', 'namespace', this.namespace, '--ignore-not-found', '-o', 'name'])).stdout.trim();
    if (there !== '') throw new Error(`${there} is there already: the test wants one of its own, which it deletes (DD2_TEST_NAMESPACE)`);
    await mkdir(this.folder, { recursive: true });
    const manifests = relative(this.folder, join(root, 'infra/k8s'));
    const { serverVersion: server } = serverVersion.parse(JSON.parse((await run('kubectl', ['version', '-o', 'json'])).stdout));
    const components = Number.parseInt(server.minor) < 21 ? [join(manifests, 'components/kubernetes-1.20')] : [];
    const images = [renamed('localhost/dd2', this.images.dd2), renamed('docker.io/library/redis', this.images.redis)].flat();
    await writeFile(join(this.folder, 'kustomization.yaml'), stringify({ apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', namespace: this.namespace, resources: [manifests], components, images }));
    this.#made = true;
    await run('kubectl', ['apply', '-k', this.folder]);
  }

  /** Runs kubectl in the namespace. @returns what it printed @throws when it fails */
  async kubectl(...args: string[]): Promise<string> {
    return (await run('kubectl', ['-n', this.namespace, ...args], { maxBuffer: 64 << 20 })).stdout;
  }

  /** Pods of a component that are ready and are not told to leave. */
  async readyPods(component: string): Promise<string[]> {
    const { items } = pods.parse(JSON.parse(await this.kubectl('get', 'pods', '-l', `app.kubernetes.io/component=${component}`, '-o', 'json')));
    return items.filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && status.conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True')).map(({ metadata }) => metadata.name);
  }

  /** Copies certificate and token, and keeps a port open that leads to the coordinator, whichever pod that is. */
  async logIn(): Promise<void> {
    const login = startDd2(['kubernetes', 'login', '--namespace', this.namespace, '--out', this.#login, '--force']);
    if ((await login.exit) !== 0) throw new Error(`dd2 kubernetes login: ${login.output()}`);
    if (this.#forward) return;
    this.#port = await freePort();
    void this.#keepForwarding();
  }

  /** Runs `dd2` to its end with what the login gave. @returns what it printed @throws when it fails */
  async dd2(...args: string[]): Promise<string> {
    const process = startDd2([...args, '--server', `https://127.0.0.1:${this.#port}`, '--certs', this.#login, '--token-file', join(this.#login, 'token')]);
    const code = await process.exit;
    if (code !== 0) throw new Error(`dd2 ${args.join(' ')} ended with ${code}: ${process.output()}`);
    return process.output();
  }

  async dispose(): Promise<void> {
    this.#closed = true;
    this.#forward?.kill();
    if (this.#made) await run('kubectl', ['delete', 'namespace', this.namespace, '--ignore-not-found']);
    await rm(this.folder, { recursive: true, force: true });
  }

  get #login(): string {
    return join(this.folder, 'login');
  }

  /** `kubectl port-forward` ends with the pod that it leads to. */
  async #keepForwarding(): Promise<void> {
    while (!this.#closed) {
      const forward = spawn('kubectl', ['-n', this.namespace, 'port-forward', 'service/dd2-coordinator', `${this.#port}:7070`], { stdio: 'ignore' });
      this.#forward = forward;
      await new Promise((resolve) => forward.once('close', resolve));
      await delay(1_000);
    }
  }
}

const pods = z.looseObject({
  items: z.array(
    z.looseObject({
      metadata: z.looseObject({ name: z.string(), deletionTimestamp: z.string().optional() }),
      status: z.looseObject({ conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).default([]) }),
    }),
  ),
});

/** A line of `images:` for an image that has another name here. */
function renamed(name: string, here: string | undefined): { name: string; newName: string; newTag: string }[] {
  if (here === undefined) return [];
  const [, newName, newTag] = /^(.+):([^:/]+)$/.exec(here) ?? [];
  if (newName === undefined || newTag === undefined) throw new Error(`${here} is not NAME:TAG`);
  return [{ name, newName, newTag }];
}

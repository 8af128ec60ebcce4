import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { managedSecrets } from '../../packages/cli/src/kubernetes/secrets.js';
import { checkpointHashes, metricsOf, root, runDd2 } from '../support/processes.js';
import { UPDATES } from '../support/short-run.js';
import { Cluster } from './cluster.js';
import { secretsInLayers } from './image-contents.js';
import { canConnect, listeningPorts, processSecurity, say, writableFolders } from './inside.js';
import { Laptop } from './laptop.js';
import { inspectContainer, podman } from './podman.js';
import type { Pod } from './pod.js';
import { render } from './render.js';
import { hashesAtTheEnd, hashesOfThisMachine, submit } from './short-run.js';

/** seconds in which pods start, on a machine that does other things as well */
const PATIENCE = 300;
/** seconds in which a run gets somewhere */
const RUN_PATIENCE = 300;

let cluster: Cluster;
let laptop: Laptop;

/** Everything `kubectl apply -k infra/k8s` makes, played from the manifests; the tests go on where the one before them ended. */
describe('kubectl apply -k infra/k8s', () => {
  beforeAll(async () => {
    cluster = await Cluster.create(await render(join(root, 'infra/k8s')));
  });
  afterAll(async () => {
    laptop?.close();
    await cluster?.dispose();
  });

  const coordinator = (): Pod => cluster.pod('dd2-coordinator-0');
  const redis = (): Pod => cluster.pod('dd2-redis-0');
  const workers = (): Pod[] => cluster.podsOf('worker');
  const everythingReady = (): Promise<boolean> => cluster.until('every pod is ready', PATIENCE, () => [...cluster.pods.values()].every(({ ready }) => ready));
  const dataDir = (): string => join(cluster.folder, 'data-dd2-coordinator-0');
  const secretValues = (): Map<string, string> =>
    new Map([...cluster.api.secrets.values()].flatMap(({ metadata, data }) => Object.entries(data).map(([key, value]) => [`${metadata.name}/${key}`, Buffer.from(value, 'base64').toString()] as const)));

  it('starts with all pods at once: the coordinator makes the Secrets, the others wait for them', async () => {
    await cluster.apply();
    expect([...cluster.pods.values()].map(({ phase }) => phase)).toEqual(['pending', 'pending', 'pending', 'pending']);
    await everythingReady();
    expect(coordinator().ended.map(({ container, code }) => [container, code])).toEqual([['bootstrap', 0], ['await-credentials', 0]]);
    for (const { identity } of [...workers(), redis()]) expect(cluster.history.some((line) => line.startsWith(`${identity.name}: waits: MissingReference: secret`))).toBe(true);
    expect(Object.fromEntries([...cluster.api.secrets.values()].map(({ metadata, type, data }) => [metadata.name, { type, keys: Object.keys(data).sort() }]))).toEqual(
      Object.fromEntries(managedSecrets.map(({ name, type, keys }) => [name, { type, keys: [...keys].sort() }])),
    );
    expect(new Set(cluster.api.requests.map(({ who }) => who))).toEqual(new Set([`system:serviceaccount:${cluster.namespace}:dd2-coordinator`]));
    expect(cluster.api.requests.filter(({ status }) => ![200, 201, 404].includes(status))).toEqual([]);
  });

  it('runs containers with the users and without the rights that the manifests say', async () => {
    for (const { identity, template, container } of [...cluster.pods.values()].map((pod) => ({ identity: pod.identity, template: pod.template, container: (name: string) => pod.container(name) }))) {
      const { runAsUser, runAsGroup, fsGroup } = template.spec.securityContext;
      for (const { name, ports } of template.spec.containers) {
        const id = container(name);
        const security = await processSecurity(id);
        expect(security, `${identity.name} ${name}`).toMatchObject({
          uids: [runAsUser, runAsUser, runAsUser, runAsUser],
          gids: [runAsGroup, runAsGroup, runAsGroup, runAsGroup],
          noNewPrivileges: true,
          seccomp: 2,
          readOnlyRoot: true,
        });
        expect(security.groups).toContain(fsGroup);
        expect(Object.values(security.capabilities)).toEqual([0n, 0n, 0n, 0n, 0n]);
        expect(await writableFolders(id)).toEqual([]);
        const { State, Config } = await inspectContainer(id);
        expect(await listeningPorts(State.Pid), `${identity.name} listens`).toEqual(ports.map(({ containerPort }) => containerPort).sort((a, b) => a - b));
        for (const [secret, value] of secretValues()) expect(Config.Env.join('\n').includes(value.trim()), `${secret} in the environment of ${identity.name}`).toBe(false);
      }
    }
  });

  it('lets pods reach what they need and nothing else', async () => {
    const [worker, other] = workers();
    const [fromWorker, fromCoordinator] = [worker?.container('worker') ?? '', coordinator().container('coordinator')];
    const address = other?.identity.ip ?? '';
    const paths: [string, string, number, boolean][] = [
      [fromWorker, 'dd2-coordinator', 7070, true],
      [fromWorker, 'dd2-coordinator', 7080, false],
      [fromWorker, 'dd2-redis', 6379, false],
      [fromWorker, address, 7090, false],
      [fromWorker, 'kubernetes.default.svc', 443, false],
      [fromCoordinator, 'dd2-redis', 6379, true],
      [fromCoordinator, address, 7090, false],
    ];
    expect(await Promise.all(paths.map(async ([from, host, port]) => [from, host, port, await canConnect(from, host, port)]))).toEqual(paths);
  });

  it('answers nobody without a token or a certificate', async () => {
    laptop = await Laptop.logIn(cluster);
    const { ip } = coordinator().identity;
    // HTTP/2 without a client certificate: the connection ends before anything is answered
    expect(await say('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ip, 7070, true)).toMatch(/^error: .*certificate required/i);
    expect(await say('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ip, 7070, false)).not.toMatch(/[a-z]{4}/);
    for (const path of ['/api/v1/runs', '/metrics']) expect(await statusOf(laptop.http.port, path), path).toBe(401);
    expect(await statusOf(laptop.http.port, '/api/v1/runs', 'wrong')).toBe(401);
    expect(await statusOf(laptop.http.port, '/api/v1/runs', secretValues().get('dd2-join-token/token'))).toBe(401);
    expect(await statusOf(laptop.http.port, '/api/v1/runs', secretValues().get('dd2-api-token/token'))).toBe(200);
    expect(await statusOf(laptop.http.port, '/metrics', secretValues().get('dd2-metrics-token/token'))).toBe(200);
    expect((await runDd2(['run', 'list', '--server', `https://localhost:${laptop.grpc.port}`, '--certs', laptop.folder, '--data-dir', join(cluster.folder, 'nowhere')])).code).toBe(4);
    expect(await say('PING\r\n', redis().identity.ip, 6379, true)).toMatch(/^-NOAUTH/);
    expect(await say('PING\r\n', redis().identity.ip, 6379, false)).not.toMatch(/PONG|NOAUTH/);
    for (const { identity } of workers()) {
      const answers = await Promise.all(['/healthz', '/readyz', '/', '/metrics', '/api/v1/runs'].map(async (path) => (await fetch(`http://${identity.ip}:7090${path}`)).status));
      expect(answers).toEqual([200, 200, 404, 404, 404]);
    }
    expect(JSON.parse(await laptop.dd2('worker', 'list', '--json'))).toHaveLength(2);
  });

  it('gives the bits of one machine, though a worker, Redis and the coordinator are killed', async () => {
    const runId = await submit(laptop);
    const strike = async (pod: Pod, container: string, update: number): Promise<void> => {
      await cluster.until(`update ${update} of ${runId}`, RUN_PATIENCE, async () => (await metricsOf(dataDir(), runId)).length >= update);
      const before = pod.ended.length;
      cluster.log(`${pod.identity.name}: killed after update ${update}`);
      await podman('kill', '--signal', 'KILL', pod.container(container));
      await cluster.until(`${container} of ${pod.identity.name} has ended`, 30, () => pod.ended.length > before);
      expect(pod.ended.at(-1)).toMatchObject({ container, code: 137, outOfMemory: false });
      expect((await metricsOf(dataDir(), runId)).length, 'it was struck in the middle').toBeLessThan(UPDATES);
    };
    const [victim] = workers();
    if (!victim) throw new Error('there is no worker');
    await strike(victim, 'worker', 8);
    await strike(redis(), 'redis', 13);
    await strike(coordinator(), 'coordinator', 18);
    const hashes = await hashesAtTheEnd(cluster, laptop, runId);
    await everythingReady();
    for (const [pod, container] of [[victim, 'worker'], [redis(), 'redis'], [coordinator(), 'coordinator']] as const) expect(pod.ended.filter((ended) => ended.container === container)).toHaveLength(1);
    expect(await readdir(join(dataDir(), 'assets')), 'the assets were brought by the laptop').toHaveLength(1);
    expect(await podman('exec', redis().container('redis'), 'sh', '-c', 'REDISCLI_AUTH="$(cat /run/redis/credentials/password)" redis-cli --tls --cacert /run/redis/tls/ca.crt -h localhost dbsize'), 'the queues are in Redis').not.toBe('0\n');
    expect(Object.keys(hashes)).toHaveLength(4);
    expect(hashes, 'what is listed is what is there').toEqual(await checkpointHashes(dataDir(), UPDATES, runId));
    cluster.log('the same run on this machine, with one worker');
    expect(hashes).toEqual(await hashesOfThisMachine());
  });

  it('drains a worker that is deleted, while the run goes on', async () => {
    const runId = await submit(laptop, { seed: 1, 'phases.distill.generatorUpdates': 400 });
    await cluster.until('it distils', RUN_PATIENCE, async () => (await metricsOf(dataDir(), runId)).length >= 12);
    const [leaving, staying] = workers();
    if (!leaving || !staying) throw new Error('there are not two workers');
    const before = (await coordinator().logs()).get('coordinator') ?? '';
    const seconds = await cluster.replace(leaving);
    expect(leaving.ended.at(-1)).toMatchObject({ container: 'worker', code: 0 });
    expect(seconds).toBeLessThan(leaving.template.spec.terminationGracePeriodSeconds);
    expect(((await coordinator().logs()).get('coordinator') ?? '').slice(before.length)).not.toMatch(/a lease failed|a worker session broke/);
    const reached = (await metricsOf(dataDir(), runId)).length;
    await cluster.until('the run went on', 60, async () => (await metricsOf(dataDir(), runId)).length > reached + 3);
    await everythingReady();
    await laptop.dd2('run', 'cancel', runId);
  });

  it('says that workers are not ready without a coordinator, and leaves the Secrets as they are when that starts again', async () => {
    const before = secretValues();
    const requests = cluster.api.requests.length;
    const replaced = coordinator();
    expect(workers().every(({ ready }) => ready)).toBe(true);
    const seconds = await cluster.remove(replaced);
    expect(replaced.ended.at(-1)).toMatchObject({ container: 'coordinator', code: 0 });
    expect(seconds).toBeLessThan(replaced.template.spec.terminationGracePeriodSeconds);
    await cluster.until('no worker is ready', 60, () => workers().every(({ ready }) => !ready));
    await cluster.apply();
    await everythingReady();
    expect(coordinator()).not.toBe(replaced);
    expect(secretValues()).toEqual(before);
    expect(cluster.api.requests.slice(requests).filter(({ method }) => method !== 'GET')).toEqual([]);
    expect(workers().flatMap(({ ended }) => ended.filter(({ code }) => code !== 137)), 'no worker was started again for it').toEqual([]);
    expect(JSON.parse(await laptop.dd2('worker', 'list', '--json'))).toHaveLength(2);
    expect(JSON.parse(await laptop.dd2('run', 'list', '--json'))).toHaveLength(2);
  });

  it('uses a renewed certificate without starting again', async () => {
    const folder = join(cluster.folder, 'renewal');
    await mkdir(folder);
    const values = secretValues();
    for (const name of ['ca.crt', 'ca.key']) await writeFile(join(folder, name), values.get(`dd2-ca/${name}`) ?? '', { mode: 0o600 });
    expect((await runDd2(['certs', 'init', '--dir', folder, '--renew', '--host', 'dd2-coordinator'])).code).toBe(0);
    const renewed = new X509Certificate(await readFile(join(folder, 'server.crt')));
    const data = { 'tls.crt': await base64(join(folder, 'server.crt')), 'tls.key': await base64(join(folder, 'server.key')) };
    cluster.api.patch('dd2-coordinator-tls', data);
    await cluster.until('the coordinator shows the new certificate', 120, async () => (await serialOf(laptop.http.port)) === renewed.serialNumber);
    await everythingReady();
    expect(JSON.parse(await laptop.dd2('worker', 'list', '--json'))).toHaveLength(2);
    expect(coordinator().ended.every(({ container }) => container !== 'coordinator')).toBe(true);
  });

  it('logs in JSON lines, without a secret', async () => {
    for (const pod of [coordinator(), ...workers()]) {
      for (const [container, text] of await pod.logs()) {
        const lines = text.trimEnd().split('\n');
        for (const line of lines) expect(() => logLine.parse(JSON.parse(line)), `${pod.identity.name} ${container} printed: ${line}`).not.toThrow();
        expect(lines.length).toBeGreaterThan(0);
      }
    }
    for (const pod of cluster.pods.values()) {
      const text = [...(await pod.logs()).values()].join('\n');
      for (const [secret, value] of secretValues()) if (!secret.endsWith('.crt')) expect(text.includes(value.trim()), `${secret} in the log of ${pod.identity.name}`).toBe(false);
    }
  });

  it('is made of images without secrets', async () => {
    for (const { name } of new Set(cluster.images.values())) expect(await secretsInLayers(name), name).toEqual([]);
  });

  it('ends in order', async () => {
    for (const pod of [...workers(), coordinator(), redis()]) {
      const seconds = await cluster.remove(pod);
      expect(seconds).toBeLessThan(pod.template.spec.terminationGracePeriodSeconds);
      expect(pod.ended.at(-1), pod.identity.name).toMatchObject({ code: 0 });
    }
  });
});

const logLine = z.looseObject({ level: z.enum(['debug', 'info', 'warn', 'error', 'fatal']), time: z.iso.datetime(), msg: z.string() });

/** Status of an HTTPS request through a forwarded port. */
function statusOf(port: number, path: string, token?: string): Promise<number> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token.trim()}` };
  return new Promise((resolve, reject) => {
    const sent = request({ host: 'localhost', port, path, headers, agent: false, rejectUnauthorized: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('error', reject);
    sent.end();
  });
}

const base64 = (file: string): Promise<string> => readFile(file, 'base64');

/** Serial number of the certificate that a forwarded port shows. */
function serialOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: 'localhost', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber ?? '');
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

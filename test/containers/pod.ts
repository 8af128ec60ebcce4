import { EventEmitter } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { containerArguments, type AnyContainer, type ImageDefaults } from './container-arguments.js';
import { environmentOf, MissingReference, type PodIdentity } from './environment.js';
import type { Container, PodTemplate } from './objects.js';
import { containerExit, inspectContainer, podman, run } from './podman.js';
import { pause, probeRepeatedly } from './probes.js';
import { mountVolume, type MountedVolume, type VolumeSources } from './volumes.js';

/** What a pod needs of the cluster that it is in. */
export interface PodHost extends VolumeSources {
  /** where volumes of pods are made */
  readonly folder: string;
  image(name: string): ImageDefaults;
  /** variables that a cluster adds: where the API server and the Services are */
  clusterEnvironment(serviceLinks: boolean): Readonly<Record<string, string>>;
  /** Makes the network of a pod: an empty podman pod. Returns its id. */
  createSandbox(pod: Pod): Promise<string>;
  log(pod: Pod, message: string): void;
}

/** A container that has ended. */
export interface EndedContainer {
  readonly container: string;
  readonly code: number;
  readonly outOfMemory: boolean;
  readonly log: string;
}

/** How long a container that ended waits to be started again: twice as long each time. A kubelet begins with 10 s. */
const BACK_OFF_SECONDS = 1;
/** An init container that has failed as often will not succeed. */
const MOST_FAILURES = 5;
/** How often volumes and missing references are looked at. A kubelet takes up to a minute. */
const SYNC_SECONDS = 0.5;

/**
 * A pod as a kubelet runs it: volumes first, then init containers one after the other, then its containers, which are probed, and started again
 * when they end. Emits `change` when it becomes ready or stops being so, and `failed` when this kubelet cannot go on.
 */
export class Pod extends EventEmitter<{ change: []; failed: [Error] }> {
  readonly ended: EndedContainer[] = [];
  readonly #running = new Map<string, { readonly id: string; ready: boolean; restarts: number }>();
  readonly #volumes = new Map<string, MountedVolume>();
  readonly #deletion = new AbortController();
  #sandbox: string | undefined;
  #main: Promise<void> = Promise.resolve();
  #phase = 'pending';

  constructor(
    readonly identity: PodIdentity,
    readonly template: PodTemplate,
    readonly host: PodHost,
    /** volumes that outlive the pod, by the name of their claim template */
    readonly claims: ReadonlyMap<string, MountedVolume>,
  ) {
    super();
  }

  /** Ready as a Service sees it: every container is, and the pod is not being deleted. */
  get ready(): boolean {
    return !this.#deletion.signal.aborted && this.template.spec.containers.every(({ name }) => this.#running.get(name)?.ready);
  }

  /** In a few words, what it does. */
  get phase(): string {
    return this.#phase;
  }

  get sandbox(): string | undefined {
    return this.#sandbox;
  }

  /** The podman id of a container that runs. */
  container(name: string): string {
    const running = this.#running.get(name);
    if (!running) throw new Error(`the container ${name} of ${this.identity.name} does not run: ${this.#phase}`);
    return running.id;
  }

  runs(name: string): boolean {
    return this.#running.has(name);
  }

  start(): void {
    this.#main = this.#live().catch((error: unknown) => {
      this.emit('failed', new Error(`${this.identity.name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error }));
    });
  }

  /** Deletes the pod as `kubectl delete pod` does: SIGTERM, and SIGKILL when its grace period is over. Claims stay. Returns seconds that it took. */
  async delete(graceSeconds = this.template.spec.terminationGracePeriodSeconds): Promise<number> {
    const begun = performance.now();
    if (!this.#deletion.signal.aborted) {
      this.#deletion.abort();
      this.#setPhase('terminating');
      this.emit('change');
      await Promise.all([...this.#running].map(([name, { id }]) => this.#stop(name, id, graceSeconds)));
    }
    await this.#main;
    const seconds = (performance.now() - begun) / 1_000;
    if (this.#sandbox !== undefined) await podman('pod', 'rm', '--force', '--time', '0', this.#sandbox);
    this.#sandbox = undefined;
    for (const volume of this.#volumes.values()) await volume.unmount();
    this.#volumes.clear();
    return seconds;
  }

  /** Everything that its containers have printed, by container; of one that was started again, all of it. */
  async logs(): Promise<ReadonlyMap<string, string>> {
    const logs = new Map<string, string>();
    const add = (name: string, text: string): unknown => logs.set(name, (logs.get(name) ?? '') + text);
    for (const { container, log } of this.ended) add(container, log);
    for (const [name, { id }] of this.#running) add(name, await logOf(id));
    return logs;
  }

  async #live(): Promise<void> {
    const { spec } = this.template;
    const { signal } = this.#deletion;
    await this.#once(() => this.#mountVolumes());
    if (signal.aborted) return;
    this.#sandbox = await this.host.createSandbox(this);
    const syncing = this.#keepVolumesUpToDate();
    for (const container of spec.initContainers) {
      if (signal.aborted) break;
      this.#setPhase(`init:${container.name}`);
      for (let failures = 0; !signal.aborted && (await this.#runOnce(container)) !== 0; failures++) {
        if (failures >= MOST_FAILURES) throw new Error(`the init container ${container.name} fails again and again:\n${this.ended.at(-1)?.log}`);
        await pause(BACK_OFF_SECONDS * 2 ** failures, signal);
      }
    }
    if (!signal.aborted) this.#setPhase('running');
    await Promise.all(spec.containers.map((container) => this.#keepRunning(container)));
    await syncing;
  }

  async #mountVolumes(): Promise<void> {
    const { spec } = this.template;
    const below = join(this.host.folder, this.identity.uid);
    await mkdir(below, { recursive: true });
    for (const [name, claim] of this.claims) this.#volumes.set(name, claim);
    for (const volume of spec.volumes) {
      if (!this.#volumes.has(volume.name)) this.#volumes.set(volume.name, await mountVolume(volume, below, this.identity, spec.securityContext.fsGroup, this.host));
    }
  }

  async #keepVolumesUpToDate(): Promise<void> {
    while (!this.#deletion.signal.aborted) {
      await pause(SYNC_SECONDS, this.#deletion.signal);
      // what went missing stays as it was
      for (const volume of this.#volumes.values()) await volume.update().catch(rethrowUnlessMissing);
    }
  }

  /** Tries until what the pod refers to is there. */
  async #once<T>(action: () => Promise<T>): Promise<T | undefined> {
    while (!this.#deletion.signal.aborted) {
      try {
        return await action();
      } catch (error) {
        rethrowUnlessMissing(error);
        this.#setPhase(`waits: ${String(error)}`);
        await pause(SYNC_SECONDS, this.#deletion.signal);
      }
    }
    return undefined;
  }

  async #keepRunning(container: Container): Promise<void> {
    const { signal } = this.#deletion;
    for (let restarts = 0; !signal.aborted; restarts++) {
      await this.#runOnce(container, container);
      await pause(BACK_OFF_SECONDS * 2 ** restarts, signal);
    }
  }

  /** Runs a container to its end. Returns its exit code. */
  async #runOnce(container: AnyContainer, probes?: Container): Promise<number> {
    const id = await this.#once(() => this.#create(container));
    if (id === undefined) return 0;
    const running = { id, ready: false, restarts: this.ended.filter((ended) => ended.container === container.name).length };
    await podman('start', id);
    this.#running.set(container.name, running);
    this.host.log(this, `${container.name} started${running.restarts > 0 ? ` again (${running.restarts})` : ''}`);
    const end = new AbortController();
    const probing = probes ? this.#probe(probes, running, end.signal) : undefined;
    if (this.#deletion.signal.aborted) void this.#stop(container.name, id, this.template.spec.terminationGracePeriodSeconds);
    const code = await containerExit(id);
    end.abort();
    await probing;
    const { State } = await inspectContainer(id);
    this.ended.push({ container: container.name, code, outOfMemory: State.OOMKilled, log: await logOf(id) });
    this.#running.delete(container.name);
    this.host.log(this, `${container.name} ended with ${code}`);
    if (running.ready) this.emit('change');
    await podman('rm', '--force', id);
    return code;
  }

  async #create(container: AnyContainer): Promise<string> {
    const { spec } = this.template;
    const environment = environmentOf(container, this.identity, this.host, this.host.clusterEnvironment(spec.enableServiceLinks));
    const volumePath = (name: string): string => {
      const volume = this.#volumes.get(name);
      if (!volume) throw new Error(`the container ${container.name} mounts ${name}, which is no volume of its pod`);
      return volume.path;
    };
    const args = containerArguments(container, spec.securityContext, this.host.image(container.image), environment, volumePath);
    return (await podman('create', '--pod', this.#sandbox ?? '', '--name', `${this.identity.name}_${container.name}_${this.identity.uid.slice(0, 8)}_${this.ended.length}`, ...args)).trim();
  }

  async #probe({ name, ports, startupProbe, livenessProbe, readinessProbe }: Container, running: { readonly id: string; ready: boolean }, signal: AbortSignal): Promise<void> {
    const target = { containerId: running.id, ip: this.identity.ip, ports };
    const become = (ready: boolean, why: string): void => {
      if (running.ready === ready || signal.aborted) return;
      running.ready = ready;
      this.host.log(this, ready ? `${name} is ready` : `${name} is not ready: ${why}`);
      this.emit('change');
    };
    const kill = (why: string): boolean => {
      this.host.log(this, `${name} is ended, its probe failed: ${why}`);
      void this.#stop(name, running.id, this.template.spec.terminationGracePeriodSeconds);
      return true;
    };
    let started = true;
    if (startupProbe) {
      started = false;
      await probeRepeatedly(startupProbe, target, ({ healthy, why }) => (healthy ? (started = true) : kill(why)), signal);
    }
    if (!started) return;
    const live = livenessProbe ? probeRepeatedly(livenessProbe, target, ({ healthy, why }) => !healthy && kill(why), signal) : undefined;
    if (!readinessProbe) become(true, '');
    else await probeRepeatedly(readinessProbe, target, ({ healthy, why }) => (become(healthy, why), false), signal);
    await live;
  }

  async #stop(name: string, id: string, graceSeconds: number): Promise<void> {
    const begun = performance.now();
    const hook = this.template.spec.containers.find((container) => container.name === name)?.lifecycle?.preStop;
    if (hook) await Promise.race([run('podman', ['exec', id, ...hook.exec.command]), delay(graceSeconds * 1_000)]);
    const left = Math.max(2, Math.ceil(graceSeconds - (performance.now() - begun) / 1_000));
    await run('podman', ['stop', '--time', String(left), id]);
  }

  #setPhase(phase: string): void {
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.host.log(this, phase);
  }
}

function rethrowUnlessMissing(error: unknown): void {
  if (!(error instanceof MissingReference)) throw error;
}

/** What a container has printed, both streams in order. */
async function logOf(id: string): Promise<string> {
  const { stdout, stderr } = await run('podman', ['logs', id]);
  return stdout + stderr;
}

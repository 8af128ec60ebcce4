import type { IService } from 'kubernetes-models/v1';
import { callOf, environmentOf, isDd2, type Call } from './command-line.js';
import { containersOf, finding, ofKind, podsOf, type Finding, type Pod, type PodContainer, type Rendering } from './objects.js';
import { LONGEST_CLOSE_MS } from '../../packages/coordinator/src/coordinator.js';

/** What a command is called with is what it can be called with, and fits the pod around it. */
export function* checkSettings(rendering: Rendering): Generator<Finding> {
  const calls = podsOf(rendering).flatMap((pod) => containersOf(pod).flatMap((each) => (isDd2(each.container) ? [{ pod, each, call: callOf(rendering, each.container) }] : [])));
  const readers = new Map<string, Set<string>>();
  for (const { pod, each, call } of calls) {
    if (call instanceof Error) {
      yield finding(pod.owner, `${each.path}.args`, `dd2 refuses it: ${call.message}`);
      continue;
    }
    yield* variableFindings(pod, each, call);
    yield* commandFindings(pod, each, call);
    yield* addressFindings(rendering, pod, each);
    for (const { configMapRef } of each.container.envFrom ?? []) {
      const name = configMapRef?.name ?? '';
      readers.set(name, new Set([...(readers.get(name) ?? []), ...call.variables]));
    }
  }
  for (const map of ofKind<{ readonly data?: Record<string, string> }>(rendering, 'ConfigMap')) {
    const known = readers.get(map.metadata.name);
    if (known) for (const name of Object.keys(map.data ?? {})) if (!known.has(name)) yield finding(map, `data.${name}`, 'no command that gets it reads it');
  }
}

function* variableFindings({ owner }: Pod, { container, path }: PodContainer, { command, variables }: Call): Generator<Finding> {
  for (const [index, { name }] of (container.env ?? []).entries()) if (name.startsWith('DD2_') && !variables.has(name)) yield finding(owner, `${path}.env[${index}].name`, `dd2 ${command} does not read ${name}`);
}

function* commandFindings({ owner, path: template, spec }: Pod, { container, path }: PodContainer, { command, options }: Call): Generator<Finding> {
  const grace = spec.terminationGracePeriodSeconds ?? 30;
  const at = `${template}spec.terminationGracePeriodSeconds`;
  const listens = (option: string): boolean => (container.ports ?? []).some(({ containerPort }) => containerPort === options[option]);
  const reachable = function* (...names: readonly string[]): Generator<Finding> {
    for (const name of names) if (!listens(name)) yield finding(owner, `${path}.ports`, `${name} is ${String(options[name])}, which is no port of the container`);
  };
  if (command === 'worker') {
    yield* reachable('healthPort');
    if (grace <= Number(options['drainSeconds'])) yield finding(owner, at, `the drain may take ${String(options['drainSeconds'])} s`);
    if (!['coordinator', 'certs', 'tokenFile'].every((name) => options[name] !== undefined)) yield finding(owner, path, 'has no coordinator, no certificates or no token');
  }
  if (command === 'coordinator') {
    yield* reachable('port', 'httpPort');
    if (grace * 1_000 <= LONGEST_CLOSE_MS) yield finding(owner, at, `the coordinator closes within ${LONGEST_CLOSE_MS / 1_000} s`);
    if (options['host'] !== '0.0.0.0' && options['host'] !== '::') yield finding(owner, path, `listens on ${String(options['host'])}, where nobody reaches it`);
    if (options['certs'] === undefined || options['insecure'] === true) yield finding(owner, path, 'listens without TLS');
    for (const name of ['joinTokenFile', 'apiTokenFile', 'metricsTokenFile']) if (options[name] === undefined) yield finding(owner, path, `makes a token of its own: there is no ${name}`);
  }
}

/** `HOST:PORT` of Services of this installation in variables. */
function* addressFindings(rendering: Rendering, { owner }: Pod, { container, path }: PodContainer): Generator<Finding> {
  const services = ofKind<IService>(rendering, 'Service');
  for (const [name, value] of Object.entries(environmentOf(rendering, container))) {
    const [, host, port] = /^(?:\w+:\/\/)?(dd2[\w-]*):(\d+)$/.exec(value) ?? [];
    if (host === undefined) continue;
    const service = services.find(({ metadata }) => metadata.name === host);
    if (!service?.spec?.ports?.some((candidate) => candidate.port === Number(port))) yield finding(owner, `${path}.env ${name}`, `there is no Service ${host} with port ${port}`);
  }
}

import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Container, Probe } from './objects.js';
import { run } from './podman.js';

/** What a probe is aimed at. */
export interface ProbeTarget {
  readonly containerId: string;
  readonly ip: string;
  readonly ports: Container['ports'];
}

/** Runs a probe once. Returns why it failed, or undefined. */
async function probeOnce(probe: Probe, target: ProbeTarget): Promise<string | undefined> {
  const timeoutMs = probe.timeoutSeconds * 1_000;
  try {
    if (probe.exec) {
      const { code, stderr } = await run('podman', ['exec', target.containerId, ...probe.exec.command], { timeoutMs });
      return code === 0 ? undefined : `the command ended with ${code} ${stderr.trim()}`;
    }
    if (probe.tcpSocket) return await connects(target.ip, portOf(probe.tcpSocket.port, target.ports), timeoutMs);
    if (probe.httpGet) return await answers(probe.httpGet, target, timeoutMs);
  } catch (error) {
    return String(error);
  }
  throw new Error('a probe without an action');
}

/** A port by number or by its name in the container. */
export function portOf(port: number | string, ports: Container['ports']): number {
  if (typeof port === 'number') return port;
  const found = ports.find(({ name }) => name === port);
  if (!found) throw new Error(`the container has no port named ${port}`);
  return found.containerPort;
}

/** A response from 200 to 399; certificates are not verified, as the kubelet does not. */
function answers(action: NonNullable<Probe['httpGet']>, target: ProbeTarget, timeoutMs: number): Promise<string | undefined> {
  const request = action.scheme === 'HTTPS' ? requestHttps : requestHttp;
  const headers = Object.fromEntries(action.httpHeaders.map(({ name, value }) => [name, value]));
  const options = { host: target.ip, port: portOf(action.port, target.ports), path: action.path, headers, agent: false, rejectUnauthorized: false, timeout: timeoutMs, signal: AbortSignal.timeout(timeoutMs) };
  return new Promise((resolve) => {
    const sent = request(options, (response) => {
      const { statusCode = 0 } = response;
      let text = '';
      response.on('data', (chunk) => (text += String(chunk)));
      response.on('error', (error) => resolve(String(error)));
      response.on('end', () => resolve(statusCode >= 200 && statusCode < 400 ? undefined : `${statusCode} ${text.trim()}`));
    });
    sent.on('error', (error) => resolve(String(error)));
    sent.end();
  });
}

function connects(host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    const end = (why?: string): void => {
      socket.destroy();
      resolve(why);
    };
    socket.on('connect', () => end());
    socket.on('timeout', () => end(`no connection to ${port} within ${timeoutMs} ms`));
    socket.on('error', (error) => end(String(error)));
  });
}

/** What a row of probes has come to. */
export interface Verdict {
  readonly healthy: boolean;
  readonly why: string;
}

/**
 * Probes again and again, as often as the manifest says, and reports whenever as many in a row as it asks for agree.
 * @param report ends the row when it returns true
 */
export async function probeRepeatedly(probe: Probe, target: ProbeTarget, report: (verdict: Verdict) => boolean, signal: AbortSignal): Promise<void> {
  let [successes, failures] = [0, 0];
  await pause(probe.initialDelaySeconds, signal);
  while (!signal.aborted) {
    const why = await probeOnce(probe, target);
    if (signal.aborted) return;
    [successes, failures] = why === undefined ? [successes + 1, 0] : [0, failures + 1];
    if (successes >= probe.successThreshold && report({ healthy: true, why: '' })) return;
    if (failures >= probe.failureThreshold && report({ healthy: false, why: why ?? '' })) return;
    await pause(probe.periodSeconds, signal);
  }
}

/** Waits, but not longer than until the signal. */
export async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await delay(seconds * 1_000, undefined, { signal }).catch(() => undefined);
}

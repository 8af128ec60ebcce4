import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Dd2Error } from '@dd2/core';

/** How a pod reaches the Kubernetes API as its ServiceAccount. */
export interface ApiAccess {
  readonly host: string;
  readonly port: number;
  /** PEM of the authority of the API server */
  readonly authority: string;
  /** read for every request: the kubelet renews it. @throws {Dd2Error} INVALID_ARGUMENT */
  readonly token: () => string;
  /** of the pod */
  readonly namespace: string;
}

/** Where the kubelet puts the credentials of a pod. */
const FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
const REMEDY = 'Run it in a pod whose ServiceAccount token is mounted: see infra/k8s/base. From a laptop use `dd2 kubernetes login`';

/** @throws {Dd2Error} INVALID_ARGUMENT outside of a pod, and in one without the token of its ServiceAccount */
export function readServiceAccount(environment: NodeJS.ProcessEnv = process.env, folder = FOLDER): ApiAccess {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '' } = environment;
  if (host === '' || !/^\d{1,5}$/.test(port)) {
    throw new Dd2Error('INVALID_ARGUMENT', 'this is no pod of a Kubernetes cluster', { field: 'KUBERNETES_SERVICE_HOST', remedy: REMEDY });
  }
  const read = (name: string): string => {
    const file = path.join(folder, name);
    let text: string;
    try {
      text = readFileSync(file, 'utf8').trim();
    } catch (cause) {
      throw new Dd2Error('INVALID_ARGUMENT', `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { field: file, remedy: REMEDY, cause });
    }
    if (text === '') throw new Dd2Error('INVALID_ARGUMENT', 'the file is empty', { field: file, remedy: REMEDY });
    return text;
  };
  const token = (): string => read('token');
  token();
  return { host, port: Number(port), authority: read('ca.crt'), token, namespace: read('namespace') };
}

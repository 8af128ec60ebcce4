import { join } from 'node:path';
import { startDd2 } from '../support/processes.js';
import type { Cluster } from './cluster.js';
import { portForward, type PortForward } from './port-forward.js';

/** Somebody's machine outside of the cluster: the command `dd2` of this repository, logged in with `dd2 kubernetes login`, and forwarded ports. */
export class Laptop {
  private constructor(
    readonly folder: string,
    readonly grpc: PortForward,
    readonly http: PortForward,
  ) {}

  static async logIn(cluster: Cluster): Promise<Laptop> {
    const folder = join(cluster.folder, 'login');
    const kubeconfig = await cluster.writeKubeconfig();
    const login = startDd2(['kubernetes', 'login', '--namespace', cluster.namespace, '--out', folder], { KUBECONFIG: kubeconfig });
    if ((await login.exit) !== 0) throw new Error(`dd2 kubernetes login: ${login.output()}`);
    // a pod that is made anew has another address
    const to = (port: string) => (): { host: string; port: number } => cluster.address('dd2-coordinator', port);
    return new Laptop(folder, await portForward(to('grpc')), await portForward(to('http')));
  }

  /** Where the coordinator is, and who asks. */
  get access(): string[] {
    return ['--server', `https://localhost:${this.grpc.port}`, '--certs', this.folder, '--token-file', join(this.folder, 'token')];
  }

  /** Runs `dd2` to its end, which has to be a good one. Returns what it printed. */
  async dd2(...args: string[]): Promise<string> {
    const process = startDd2([...args, ...this.access]);
    const code = await process.exit;
    if (code !== 0) throw new Error(`dd2 ${args.join(' ')} ended with ${code}: ${process.output()}`);
    return process.output();
  }

  close(): void {
    this.grpc.close();
    this.http.close();
  }
}

import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { must, podman } from './podman.js';

/**
 * Addresses of a cluster on this machine. Pods are on a network of podman; Services have addresses that nobody has: rules in each pod's network
 * namespace lead from there to pods.
 */
export class Network {
  #nextPod = 10;
  #nextService = 10;

  private constructor(
    readonly name: string,
    readonly prefix: string,
    /** a podman pod that only keeps the network up, so that this machine has its address on it */
    readonly keeper: string,
  ) {}

  /** This machine, on the network of the pods. */
  get node(): string {
    return `${this.prefix}.0.1`;
  }

  /** Address of the API server's Service. */
  get apiServer(): string {
    return `${this.prefix}.1.1`;
  }

  static async create(name: string): Promise<Network> {
    const prefix = `10.${await freeNumber()}`;
    await podman('network', 'create', '--disable-dns', '--subnet', `${prefix}.0.0/24`, '--gateway', `${prefix}.0.1`, name);
    const network = new Network(name, prefix, `${name}-keeper`);
    await podman('pod', 'create', '--name', network.keeper, '--network', name, '--ip', network.podAddress());
    await podman('pod', 'start', network.keeper);
    return network;
  }

  podAddress(): string {
    return `${this.prefix}.0.${this.#nextPod++}`;
  }

  serviceAddress(): string {
    return `${this.prefix}.1.${this.#nextService++}`;
  }

  async remove(): Promise<void> {
    await podman('pod', 'rm', '--force', '--time', '0', this.keeper);
    await podman('network', 'rm', '--force', this.name);
  }
}

/** Replaces all packet rules in the network namespace of a podman pod. */
export async function setPacketRules(namespacePath: string, rules: string): Promise<void> {
  await must('nsenter', [`--net=${namespacePath}`, 'iptables-restore'], { input: rules });
}

const routes = z.array(z.looseObject({ dst: z.string() }));

/** A second number of an address that starts with 10 and that no route of this machine has. */
async function freeNumber(): Promise<number> {
  const taken = routes
    .parse(JSON.parse(await must('ip', ['-json', '-4', 'route', 'show', 'table', 'all'])))
    .map(({ dst }) => dst.split('/')[0] ?? '')
    .filter(isIPv4);
  const first = 192 + (process.pid % 48);
  const free = Array.from({ length: 48 }, (_, index) => 192 + ((first - 192 + index) % 48)).find((number) => !taken.some((address) => address.startsWith(`10.${number}.`)));
  if (free === undefined) throw new Error('no free network between 10.192.0.0 and 10.239.0.0');
  return free;
}

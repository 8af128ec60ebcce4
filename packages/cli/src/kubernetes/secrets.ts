import { HTTP_PORT } from '../page.js';
import { COORDINATOR_PORT } from '../server-address.js';

/** What a Secret belongs to. An installation may have one of these from elsewhere: certificates of cert-manager, a Redis of its own. */
export type SecretGroup = 'certificates' | 'tokens' | 'redis';

/** What a certificate in a Secret is for. */
export interface LeafCertificate {
  readonly purpose: 'server' | 'client';
  /** its common name */
  readonly subject: string;
  /** names inside the namespace under which a server is dialled: its Service, and its pod below the headless Service */
  readonly services: readonly string[];
  /** it is dialled under the names of `--host`, too */
  readonly fromOutside: boolean;
}

/** One Secret that `dd2 kubernetes bootstrap` makes if it is not there. */
export interface ManagedSecret {
  readonly name: string;
  readonly type: 'Opaque' | 'kubernetes.io/tls';
  readonly keys: readonly string[];
  /** it is made unless one of these is left out */
  readonly groups: readonly SecretGroup[];
  /** for `kubernetes.io/tls` */
  readonly certificate?: LeafCertificate;
}

/** The authority that signs all certificates of an installation. Nobody but `dd2 kubernetes bootstrap` reads it. */
export const authoritySecret: ManagedSecret = { name: 'dd2-ca', type: 'Opaque', keys: ['ca.crt', 'ca.key'], groups: ['certificates'] };

/** What a person needs to ask the coordinator. */
export const CLIENT_CERTIFICATE_SECRET = 'dd2-client-tls';
export const API_TOKEN_SECRET = 'dd2-api-token';

/** The Service of the coordinator, and its ports. */
export const COORDINATOR_SERVICE = { name: 'dd2-coordinator', grpcPort: COORDINATOR_PORT, httpPort: HTTP_PORT } as const;

/** On every Secret that is made. */
export const secretLabels: Readonly<Record<string, string>> = { 'app.kubernetes.io/name': 'dd2', 'app.kubernetes.io/part-of': 'dd2', 'app.kubernetes.io/managed-by': 'dd2' };

const leafKeys = ['tls.crt', 'tls.key', 'ca.crt'] as const;
const tokenKeys = ['token'] as const;

/** Every Secret of an installation, in the order in which they are made: the authority comes before what it signs. */
export const managedSecrets: readonly ManagedSecret[] = [
  authoritySecret,
  {
    name: 'dd2-coordinator-tls',
    type: 'kubernetes.io/tls',
    keys: leafKeys,
    groups: ['certificates'],
    certificate: { purpose: 'server', subject: 'dd2 coordinator', services: [COORDINATOR_SERVICE.name, 'dd2-coordinator-0.dd2-coordinator-headless'], fromOutside: true },
  },
  {
    name: 'dd2-redis-tls',
    type: 'kubernetes.io/tls',
    keys: leafKeys,
    groups: ['certificates', 'redis'],
    certificate: { purpose: 'server', subject: 'dd2 redis', services: ['dd2-redis', 'dd2-redis-0.dd2-redis'], fromOutside: false },
  },
  { name: 'dd2-worker-tls', type: 'kubernetes.io/tls', keys: leafKeys, groups: ['certificates'], certificate: { purpose: 'client', subject: 'dd2 worker', services: [], fromOutside: false } },
  { name: CLIENT_CERTIFICATE_SECRET, type: 'kubernetes.io/tls', keys: leafKeys, groups: ['certificates'], certificate: { purpose: 'client', subject: 'dd2 client', services: [], fromOutside: false } },
  { name: 'dd2-join-token', type: 'Opaque', keys: tokenKeys, groups: ['tokens'] },
  { name: API_TOKEN_SECRET, type: 'Opaque', keys: tokenKeys, groups: ['tokens'] },
  { name: 'dd2-metrics-token', type: 'Opaque', keys: tokenKeys, groups: ['tokens'] },
  { name: 'dd2-redis', type: 'Opaque', keys: ['password', 'users.acl'], groups: ['redis'] },
];

import { redisUsers } from '@dd2/coordinator/redis-users';
import { Dd2Error } from '@dd2/core';
import { newToken } from '@dd2/proto';
import type { Logger } from 'pino';
import { DAY_MS, issueLeaf, whyRenew, type Authority, type LeafRequest } from './leaf-certificates.js';
import { authorityIn, dayOf, requireRedisUsers, requireToken } from './secret-content.js';
import { authoritySecret, managedSecrets, secretLabels, type LeafCertificate, type ManagedSecret, type SecretGroup } from './secrets.js';
import type { SecretsApi, StoredSecret } from './secrets-api.js';

export interface BootstrapOptions {
  readonly api: SecretsApi;
  readonly namespace: string;
  /** names and addresses of the coordinator outside of the cluster */
  readonly hosts: readonly string[];
  /** what comes from elsewhere */
  readonly without: readonly SecretGroup[];
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** milliseconds since 1970 */
  readonly clock?: () => number;
}

const AUTHORITY_MS = 10 * 365 * DAY_MS;
/** From here on certificates get shorter than they should be. */
const AUTHORITY_ENDS_MS = 365 * DAY_MS;
/** Others that change the same Secrets at the same time are done after a few. */
const MOST_ATTEMPTS = 8;

/**
 * Makes the Secrets of an installation that are not there. One that is there stays as it is, except for certificates that expire soon,
 * lack a name, or were signed by another authority: those are issued anew. Others may do the same at the same time.
 * @throws {Dd2Error} INVALID_ARGUMENT for a Secret whose content cannot be used, RUN_CONFLICT when others change them again and again; as the API's calls do
 */
export async function bootstrap({ api, namespace, hosts, without, logger, clock = Date.now }: BootstrapOptions): Promise<void> {
  const wanted = managedSecrets.filter(({ groups }) => !groups.some((group) => without.includes(group)));
  const leaves = wanted.flatMap(({ certificate, ...secret }) => (certificate === undefined ? [] : [{ ...secret, certificate }]));
  if (!without.includes('certificates')) await ensureCertificates({ api, namespace, hosts, logger, clock }, leaves);
  for (const secret of wanted.filter(({ groups }) => groups.includes('tokens'))) {
    const [key = ''] = secret.keys;
    await ensure({ api, logger }, secret, async () => ({ [key]: newToken() }), async (stored) => void requireToken(stored, key));
  }
  for (const secret of wanted.filter(({ groups, certificate }) => groups.includes('redis') && certificate === undefined)) {
    await ensure({ api, logger }, secret, async () => newRedisUsers(), async (stored) => void requireRedisUsers(stored));
  }
  logger.info({ namespace }, `the Secrets are there; from a laptop: dd2 kubernetes login --namespace ${namespace}`);
}

type Parts = Required<Omit<BootstrapOptions, 'without'>>;
type Leaf = ManagedSecret & { readonly certificate: LeafCertificate };

/** Who has written a certificate last has seen the authority that signed it afterwards: what is left is signed by what is stored. */
async function ensureCertificates(parts: Parts, leaves: readonly Leaf[]): Promise<void> {
  const { api, namespace, hosts, logger, clock } = parts;
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const authority = await ensureAuthority(parts);
    for (const leaf of leaves) {
      const request: LeafRequest = { ...leaf.certificate, namespace, hosts };
      await ensure({ api, logger }, leaf, () => issueLeaf(authority, request, clock()), (stored) => whyRenew(stored, authority, request, clock()));
    }
    const present = await api.get(authoritySecret.name);
    if (present !== undefined && authorityIn(present, clock()).parsed.fingerprint256 === authority.parsed.fingerprint256) return;
    logger.warn({ secret: authoritySecret.name }, 'the authority was replaced meanwhile: looking at the certificates again');
  }
  throw changing(authoritySecret.name);
}

async function ensureAuthority({ api, logger, clock, namespace }: Parts): Promise<Authority> {
  const { createAuthority } = await import('@dd2/proto/certificates');
  const make = async (): Promise<Record<string, string>> => {
    const { certificate, privateKey } = await createAuthority(`dd2 ${namespace}`, { to: new Date(clock() + AUTHORITY_MS) });
    return { 'ca.crt': certificate, 'ca.key': privateKey };
  };
  const stored = await ensure({ api, logger }, authoritySecret, make, async (found) => void authorityIn(found, clock()));
  const authority = authorityIn(stored, clock());
  const end = Date.parse(authority.parsed.validTo);
  if (end - clock() < AUTHORITY_ENDS_MS) {
    const remedy = `kubectl -n ${namespace} delete secret ${authoritySecret.name} && kubectl -n ${namespace} rollout restart statefulset/dd2-coordinator`;
    logger.warn({ secret: authoritySecret.name, expires: dayOf(end), remedy }, `the authority expires on ${dayOf(end)}; without it a new one is made, and all certificates with it: ${remedy}`);
  }
  return authority;
}

/**
 * Makes a Secret that is not there, or replaces values of one that must be renewed.
 * @param judge tells why a Secret that is there must be renewed, undefined when it may stay; throws when its content cannot be used
 */
async function ensure(
  { api, logger }: Pick<BootstrapOptions, 'api' | 'logger'>,
  { name, type }: ManagedSecret,
  make: () => Promise<Record<string, string>>,
  judge: (stored: StoredSecret) => Promise<string | undefined>,
): Promise<StoredSecret> {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const found = await api.get(name);
    if (found === undefined) {
      const created = await api.create({ name, type, labels: secretLabels, values: await make() });
      if (created === undefined) continue;
      logger.info({ secret: name, action: 'created' }, `Secret ${name} created`);
      return created;
    }
    const reason = await judge(found);
    if (reason === undefined) {
      logger.info({ secret: name, action: 'kept' }, `Secret ${name} is there`);
      return found;
    }
    const updated = await api.update(found, await make());
    if (updated === undefined) continue;
    logger.info({ secret: name, action: 'renewed', reason }, `Secret ${name} renewed: ${reason}`);
    return updated;
  }
  throw changing(name);
}

function newRedisUsers(): Record<string, string> {
  const password = newToken();
  return { password, 'users.acl': redisUsers(password) };
}

function changing(name: string): Dd2Error {
  return new Dd2Error('RUN_CONFLICT', 'others change the Secret again and again', { field: `Secret ${name}`, remedy: 'Look for a second installation, or an operator, that manages the same names in this namespace' });
}

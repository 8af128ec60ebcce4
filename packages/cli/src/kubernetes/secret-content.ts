import { createPrivateKey, X509Certificate } from 'node:crypto';
import { acceptsPassword } from '@dd2/coordinator/redis-users';
import { Dd2Error } from '@dd2/core';
import { checkToken } from '@dd2/proto';
import type { CertifiedKey } from '@dd2/proto/certificates';
import { valueOf, type StoredSecret } from './secrets-api.js';

/** A Secret that cannot be used as it is. Nothing is overwritten: somebody may need what is in it. */
export function unusable(secret: StoredSecret, key: string, problem: string, cause?: unknown): Dd2Error {
  const { name, namespace } = secret.metadata;
  return new Dd2Error('INVALID_ARGUMENT', problem, {
    field: `Secret ${name}, key ${key}`,
    remedy: `Put it right, or \`kubectl -n ${namespace} delete secret ${name}\` and start the coordinator again: it makes a new one`,
    cause,
  });
}

/** The value of a key. @throws {Dd2Error} INVALID_ARGUMENT */
export function requireValue(secret: StoredSecret, key: string): string {
  const value = valueOf(secret, key);
  if (value === undefined) throw unusable(secret, key, 'the Secret has no such key');
  if (value.trim() === '') throw unusable(secret, key, 'the value is empty');
  return value;
}

/** The first certificate of a key. @throws {Dd2Error} INVALID_ARGUMENT */
function certificateIn(secret: StoredSecret, key: string): X509Certificate {
  const pem = requireValue(secret, key);
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw unusable(secret, key, 'this is no certificate (PEM)', cause);
  }
}

/** A certificate and its private key, which belong together. @throws {Dd2Error} INVALID_ARGUMENT */
export function pairIn(secret: StoredSecret, certificateKey: string, privateKeyKey: string): CertifiedKey & { readonly parsed: X509Certificate } {
  const parsed = certificateIn(secret, certificateKey);
  const privateKey = requireValue(secret, privateKeyKey);
  let belongs: boolean;
  try {
    belongs = parsed.checkPrivateKey(createPrivateKey(privateKey));
  } catch (cause) {
    throw unusable(secret, privateKeyKey, 'this is no private key (PEM)', cause);
  }
  if (!belongs) throw unusable(secret, privateKeyKey, `the private key does not belong to the certificate in ${certificateKey}`);
  return { certificate: requireValue(secret, certificateKey), privateKey, parsed };
}

/** An authority that can sign. @throws {Dd2Error} INVALID_ARGUMENT */
export function authorityIn(secret: StoredSecret, now: number): CertifiedKey & { readonly parsed: X509Certificate } {
  const authority = pairIn(secret, 'ca.crt', 'ca.key');
  if (!authority.parsed.ca) throw unusable(secret, 'ca.crt', 'this certificate must not sign others');
  const { asymmetricKeyType, asymmetricKeyDetails } = createPrivateKey(authority.privateKey);
  if (asymmetricKeyType !== 'ec' || asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw unusable(secret, 'ca.key', 'the key of the authority must be one for ECDSA with P-256');
  if (Date.parse(authority.parsed.validTo) <= now) throw unusable(secret, 'ca.crt', `the authority expired on ${dayOf(authority.parsed.validTo)}`);
  return authority;
}

/** @throws {Dd2Error} INVALID_ARGUMENT */
export function requireToken(secret: StoredSecret, key: string): string {
  const text = requireValue(secret, key);
  try {
    return checkToken(text, key);
  } catch (cause) {
    throw unusable(secret, key, 'this is no token: it has at least 16 printable characters and no spaces', cause);
  }
}

/** @throws {Dd2Error} INVALID_ARGUMENT when the users of Redis would not be let in with the password */
export function requireRedisUsers(secret: StoredSecret): void {
  const password = requireValue(secret, 'password').trim();
  const users = requireValue(secret, 'users.acl');
  if (!acceptsPassword(users, password)) throw unusable(secret, 'users.acl', 'no user has the password of the key "password"');
}

/** A date of a certificate as people write it. */
export function dayOf(date: string | number): string {
  return new Date(date).toISOString().slice(0, 10);
}

import type { ICertificate } from '@kubernetes-models/cert-manager/cert-manager.io/v1';
import { hostsFor } from '../../packages/cli/src/kubernetes/leaf-certificates.js';
import { managedSecrets } from '../../packages/cli/src/kubernetes/secrets.js';
import { finding, ofKind, type Finding, type Rendering } from './objects.js';
import { parseDuration } from './quantities.js';

const hours = ['h', 'm', 's', 'ms'];

/** Certificates of cert-manager are good for what those of bootstrap are good for. */
export function* checkCertificates(rendering: Rendering): Generator<Finding> {
  for (const certificate of ofKind<ICertificate>(rendering, 'Certificate')) {
    const { secretName = '', dnsNames = [], ipAddresses = [], usages = [], isCA = false, duration = '2160h', renewBefore = '720h' } = certificate.spec ?? {};
    if ((parseDuration(renewBefore, hours) ?? 0) >= (parseDuration(duration, hours) ?? 0)) yield finding(certificate, 'spec.renewBefore', `${renewBefore} is not less than the duration ${duration}`);
    const managed = managedSecrets.find(({ name }) => name === secretName);
    if (!managed) {
      yield finding(certificate, 'spec.secretName', `nothing reads a certificate in the Secret ${secretName}`);
      continue;
    }
    const leaf = managed.certificate;
    if (isCA === (leaf !== undefined)) yield finding(certificate, 'spec.isCA', leaf ? 'this is no authority' : 'is not true: it could not sign');
    if (!leaf) continue;
    const missing = hostsFor({ ...leaf, namespace: certificate.metadata.namespace ?? '', hosts: [] }).filter((host) => !dnsNames.includes(host) && !ipAddresses.includes(host));
    if (missing.length > 0) yield finding(certificate, 'spec.dnsNames', `lacks ${missing.join(', ')}`);
    if (!usages.includes(`${leaf.purpose} auth`)) yield finding(certificate, 'spec.usages', `lacks "${leaf.purpose} auth"`);
  }
}

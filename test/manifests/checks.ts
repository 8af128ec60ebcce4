import { checkAccess } from './access.js';
import { checkCertificates } from './certificates.js';
import { checkFiles } from './files.js';
import { checkFormats } from './formats.js';
import { checkNetwork } from './network.js';
import { checkOldestVersion } from './oldest-version.js';
import { formatFinding, type Check, type Rendering } from './objects.js';
import { checkPodPolicy } from './pod-policy.js';
import { checkPods } from './pods.js';
import { checkRedis } from './redis.js';
import { checkReferences } from './references.js';
import { checkSecretMaterial } from './secret-material.js';
import { checkSelectors } from './selectors.js';
import { checkSettings } from './settings.js';
import { checkTypes } from './type-check.js';

const checks: readonly Check[] = [checkFormats, checkPods, checkSelectors, checkReferences, checkCertificates, checkPodPolicy, checkAccess, checkFiles, checkSettings, checkRedis, checkNetwork, checkSecretMaterial, checkOldestVersion];

/** Everything that is wrong with each of some renderings, a line each. Meaning is looked at only where the types are right. */
export function checkRenderings(renderings: readonly Rendering[]): Map<Rendering, string[]> {
  const byTypes = checkTypes(renderings);
  const lines = (rendering: Rendering): string[] => {
    const ofTypes = byTypes.get(rendering) ?? [];
    const findings = ofTypes.length > 0 ? ofTypes : checks.flatMap((check) => [...check(rendering)]);
    const warnings = rendering.warnings.split('\n').filter((line) => line !== '');
    return [...warnings.map((line) => `${rendering.name}: kubectl warns: ${line}`), ...findings.map((each) => formatFinding(rendering, each))];
  };
  return new Map(renderings.map((rendering) => [rendering, lines(rendering)]));
}

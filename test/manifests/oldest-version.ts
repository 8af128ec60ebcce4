import { finding, valuesOf, type Finding, type Rendering } from './objects.js';

/** Fields that Kubernetes 1.20 would drop or refuse, and the version that has them. */
const newer: readonly { readonly path: RegExp; readonly kind?: string; readonly since: string }[] = [
  { path: /Probe\.grpc$/, since: '1.24' },
  { path: /Probe\.terminationGracePeriodSeconds$/, since: '1.22' },
  { path: /initContainers\[\d+\]\.restartPolicy$/, since: '1.28' },
  { path: /persistentVolumeClaimRetentionPolicy$/, since: '1.27' },
  { path: /topologySpreadConstraints\[\d+\]\.(matchLabelKeys|minDomains|nodeAffinityPolicy|nodeTaintsPolicy)$/, since: '1.25' },
  { path: /ports\[\d+\]\.endPort$/, since: '1.22' },
  { path: /unhealthyPodEvictionPolicy$/, since: '1.27' },
  { path: /volumeMounts\[\d+\]\.recursiveReadOnly$/, since: '1.30' },
  { path: /securityContext\.appArmorProfile$/, since: '1.30' },
  { path: /template\.spec\.(hostUsers|os|schedulingGates|resourceClaims|resources|hostnameOverride)$/, since: '1.23' },
  { path: /^spec\.(minReadySeconds|ordinals)$/, kind: 'StatefulSet', since: '1.22' },
  { path: /^spec\.updateStrategy\.rollingUpdate\.maxUnavailable$/, kind: 'StatefulSet', since: '1.24' },
  { path: /^spec\.(internalTrafficPolicy|trafficDistribution|loadBalancerClass|ipFamilyPolicy|ipFamilies)$/, kind: 'Service', since: '1.23' },
  { path: /\["kubernetes\.io\/metadata\.name"\]$/, since: '1.21' },
];

/** Manifests work from Kubernetes 1.20 on, unless a component is for a newer one: it is called `kubernetes-` and the version. */
export function* checkOldestVersion({ objects, components }: Rendering): Generator<Finding> {
  const chosen = components.flatMap((component) => /kubernetes-1\.(\d+)$/.exec(component)?.[1] ?? []).map(Number);
  const oldest = Math.max(20, ...chosen);
  for (const object of objects) {
    for (const { path } of valuesOf(object)) {
      const field = newer.find((candidate) => candidate.path.test(path) && (candidate.kind ?? object.kind) === object.kind);
      if (field && Number(field.since.slice(2)) > oldest) yield finding(object, path, `is there from Kubernetes ${field.since} on`);
    }
  }
}

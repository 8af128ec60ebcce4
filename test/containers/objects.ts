import { z } from 'zod';

/**
 * What a manifest may say to this kubelet. Every object is strict: a field that is not here is an error, so that nothing is passed over in
 * silence. Fields that are known but make no difference on one machine are `noMeaning`, with the reason.
 */

/** a field that makes no difference on one machine */
const noMeaning = z.unknown().optional();
const names = z.record(z.string(), z.string());
const port = z.union([z.int().min(1).max(65_535), z.string()]);
/** file mode: YAML has it in decimal or as 0440 */
const mode = z.int().min(0).max(0o777);

const metadata = z.strictObject({
  name: z.string(),
  namespace: z.string().optional(),
  labels: names.default({}),
  annotations: names.default({}),
  creationTimestamp: z.null().optional(),
});

const labelSelector = z.strictObject({
  matchLabels: names.default({}),
  matchExpressions: z.array(z.strictObject({ key: z.string(), operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']), values: z.array(z.string()).default([]) })).default([]),
});

const keyPaths = z.array(z.strictObject({ key: z.string(), path: z.string(), mode: mode.optional() }));
const downwardItems = z.array(z.strictObject({ path: z.string(), fieldRef: z.strictObject({ fieldPath: z.string(), apiVersion: z.literal('v1').optional() }) }));

const projectionSource = z.union([
  z.strictObject({ secret: z.strictObject({ name: z.string(), optional: z.boolean().default(false), items: keyPaths.optional() }) }),
  z.strictObject({ configMap: z.strictObject({ name: z.string(), optional: z.boolean().default(false), items: keyPaths.optional() }) }),
  z.strictObject({ serviceAccountToken: z.strictObject({ path: z.string(), expirationSeconds: z.int().min(600).default(3_600), audience: z.string().optional() }) }),
  z.strictObject({ downwardAPI: z.strictObject({ items: downwardItems }) }),
]);

const volume = z.union([
  z.strictObject({ name: z.string(), emptyDir: z.strictObject({ medium: z.enum(['', 'Memory']).default(''), sizeLimit: z.string().optional() }).nullable() }),
  z.strictObject({
    name: z.string(),
    secret: z.strictObject({ secretName: z.string(), optional: z.boolean().default(false), defaultMode: mode.default(0o644), items: keyPaths.optional() }),
  }),
  z.strictObject({
    name: z.string(),
    configMap: z.strictObject({ name: z.string(), optional: z.boolean().default(false), defaultMode: mode.default(0o644), items: keyPaths.optional() }),
  }),
  z.strictObject({ name: z.string(), projected: z.strictObject({ sources: z.array(projectionSource), defaultMode: mode.default(0o644) }) }),
]);

const keyRef = z.strictObject({ name: z.string(), key: z.string(), optional: z.boolean().default(false) });
const environmentVariable = z.strictObject({
  name: z.string(),
  value: z.string().optional(),
  valueFrom: z
    .union([
      z.strictObject({ fieldRef: z.strictObject({ fieldPath: z.string(), apiVersion: z.literal('v1').optional() }) }),
      z.strictObject({ secretKeyRef: keyRef }),
      z.strictObject({ configMapKeyRef: keyRef }),
    ])
    .optional(),
});
const environmentSource = z.strictObject({
  prefix: z.string().default(''),
  configMapRef: z.strictObject({ name: z.string(), optional: z.boolean().default(false) }).optional(),
  secretRef: z.strictObject({ name: z.string(), optional: z.boolean().default(false) }).optional(),
});

const execAction = z.strictObject({ command: z.array(z.string()).min(1) });
const httpGetAction = z.strictObject({
  path: z.string().default('/'),
  port,
  scheme: z.enum(['HTTP', 'HTTPS']).default('HTTP'),
  httpHeaders: z.array(z.strictObject({ name: z.string(), value: z.string() })).default([]),
});
const probe = z
  .strictObject({
    exec: execAction.optional(),
    httpGet: httpGetAction.optional(),
    tcpSocket: z.strictObject({ port }).optional(),
    initialDelaySeconds: z.int().min(0).default(0),
    periodSeconds: z.int().min(1).default(10),
    timeoutSeconds: z.int().min(1).default(1),
    successThreshold: z.int().min(1).default(1),
    failureThreshold: z.int().min(1).default(3),
  })
  .refine(({ exec, httpGet, tcpSocket }) => [exec, httpGet, tcpSocket].filter((action) => action !== undefined).length === 1, 'a probe has one action');

const seccompProfile = z.strictObject({ type: z.enum(['RuntimeDefault']) });
const containerSecurity = z.strictObject({
  runAsUser: z.int().optional(),
  runAsGroup: z.int().optional(),
  runAsNonRoot: z.boolean().optional(),
  readOnlyRootFilesystem: z.boolean().default(false),
  allowPrivilegeEscalation: z.boolean().default(true),
  privileged: z.literal(false).optional(),
  capabilities: z.strictObject({ drop: z.array(z.string()).default([]), add: z.array(z.string()).default([]) }).prefault({}),
  seccompProfile: seccompProfile.optional(),
});
const podSecurity = z.strictObject({
  runAsUser: z.int().optional(),
  runAsGroup: z.int().optional(),
  runAsNonRoot: z.boolean().optional(),
  fsGroup: z.int().optional(),
  fsGroupChangePolicy: z.enum(['Always', 'OnRootMismatch']).optional(), // the volumes are small
  supplementalGroups: z.array(z.int()).default([]),
  seccompProfile: seccompProfile.optional(),
});

const resourceList = z.strictObject({
  cpu: z.union([z.string(), z.number()]).optional(),
  memory: z.union([z.string(), z.number()]).optional(),
  'ephemeral-storage': noMeaning, // nothing here counts what a container writes to disk
});

const noMeaningForContainers = {
  imagePullPolicy: noMeaning, // the images are here: there is no registry
  terminationMessagePath: noMeaning, // shown by `kubectl describe`
  terminationMessagePolicy: noMeaning,
};
const container = z.strictObject({
  ...noMeaningForContainers,
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  workingDir: z.string().optional(),
  env: z.array(environmentVariable).default([]),
  envFrom: z.array(environmentSource).default([]),
  ports: z.array(z.strictObject({ name: z.string().optional(), containerPort: z.int(), protocol: z.enum(['TCP', 'UDP']).default('TCP') })).default([]),
  volumeMounts: z
    .array(z.strictObject({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().default(false), subPath: z.string().optional() }))
    .default([]),
  resources: z.strictObject({ requests: resourceList.prefault({}), limits: resourceList.prefault({}) }).prefault({}),
  securityContext: containerSecurity.prefault({}),
  startupProbe: probe.optional(),
  livenessProbe: probe.optional(),
  readinessProbe: probe.optional(),
  lifecycle: z.strictObject({ preStop: z.strictObject({ exec: execAction }).optional() }).optional(),
});

const noMeaningForPods = {
  topologySpreadConstraints: noMeaning, // there is one node
  affinity: noMeaning,
  nodeSelector: noMeaning,
  tolerations: noMeaning,
  priorityClassName: noMeaning, // nothing is pre-empted
};
const podSpec = z.strictObject({
  ...noMeaningForPods,
  serviceAccountName: z.string().default('default'),
  automountServiceAccountToken: z.boolean().optional(),
  enableServiceLinks: z.boolean().default(true),
  restartPolicy: z.enum(['Always']).default('Always'),
  terminationGracePeriodSeconds: z.int().min(0).default(30),
  securityContext: podSecurity.prefault({}),
  initContainers: z.array(container.omit({ startupProbe: true, livenessProbe: true, readinessProbe: true, lifecycle: true })).default([]),
  containers: z.array(container).min(1),
  volumes: z.array(volume).default([]),
});
const podTemplate = z.strictObject({
  metadata: metadata.partial({ name: true }),
  spec: podSpec,
});

const statefulSet = z.strictObject({
  apiVersion: z.literal('apps/v1'),
  kind: z.literal('StatefulSet'),
  metadata,
  spec: z.strictObject({
    replicas: z.int().default(1),
    serviceName: z.string(),
    selector: labelSelector,
    template: podTemplate,
    podManagementPolicy: z.enum(['OrderedReady', 'Parallel']).default('OrderedReady'),
    updateStrategy: noMeaning, // templates do not change here
    revisionHistoryLimit: noMeaning,
    volumeClaimTemplates: z
      .array(
        z.strictObject({
          apiVersion: z.literal('v1').optional(),
          kind: z.literal('PersistentVolumeClaim').optional(),
          metadata,
          // size and class: a folder of this machine serves every claim
          spec: z.strictObject({ accessModes: z.array(z.enum(['ReadWriteOnce'])), resources: noMeaning, storageClassName: noMeaning, volumeMode: z.literal('Filesystem').optional() }),
        }),
      )
      .default([]),
  }),
});
const deployment = z.strictObject({
  apiVersion: z.literal('apps/v1'),
  kind: z.literal('Deployment'),
  metadata,
  spec: z.strictObject({
    replicas: z.int().default(1),
    selector: labelSelector,
    template: podTemplate,
    strategy: noMeaning, // templates do not change here
    revisionHistoryLimit: noMeaning,
    progressDeadlineSeconds: noMeaning,
    minReadySeconds: noMeaning,
  }),
});

const service = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Service'),
  metadata,
  spec: z.strictObject({
    type: z.literal('ClusterIP').default('ClusterIP'),
    clusterIP: z.literal('None').optional(),
    selector: names,
    publishNotReadyAddresses: z.boolean().default(false),
    ports: z.array(
      z.strictObject({
        name: z.string().optional(),
        port: z.int(),
        targetPort: port.optional(),
        protocol: z.literal('TCP').default('TCP'),
        appProtocol: noMeaning, // a hint for proxies
      }),
    ),
  }),
});

const configMap = z.strictObject({ apiVersion: z.literal('v1'), kind: z.literal('ConfigMap'), metadata, data: names.default({}), immutable: noMeaning });
const serviceAccount = z.strictObject({ apiVersion: z.literal('v1'), kind: z.literal('ServiceAccount'), metadata, automountServiceAccountToken: z.boolean().optional() });

const role = z.strictObject({
  apiVersion: z.literal('rbac.authorization.k8s.io/v1'),
  kind: z.literal('Role'),
  metadata,
  rules: z.array(
    z.strictObject({ apiGroups: z.array(z.string()), resources: z.array(z.string()), verbs: z.array(z.string()), resourceNames: z.array(z.string()).optional() }),
  ),
});
const roleBinding = z.strictObject({
  apiVersion: z.literal('rbac.authorization.k8s.io/v1'),
  kind: z.literal('RoleBinding'),
  metadata,
  roleRef: z.strictObject({ apiGroup: z.literal('rbac.authorization.k8s.io'), kind: z.literal('Role'), name: z.string() }),
  subjects: z.array(z.strictObject({ kind: z.literal('ServiceAccount'), name: z.string(), namespace: z.string().optional() })),
});

const policyPeer = z.union([
  z.strictObject({ podSelector: labelSelector.optional(), namespaceSelector: labelSelector.optional() }),
  z.strictObject({ ipBlock: z.strictObject({ cidr: z.string(), except: z.array(z.string()).default([]) }) }),
]);
const policyPort = z.strictObject({ port: port.optional(), protocol: z.enum(['TCP', 'UDP']).default('TCP') });
const networkPolicy = z.strictObject({
  apiVersion: z.literal('networking.k8s.io/v1'),
  kind: z.literal('NetworkPolicy'),
  metadata,
  spec: z.strictObject({
    podSelector: labelSelector,
    policyTypes: z.array(z.enum(['Ingress', 'Egress'])),
    ingress: z.array(z.strictObject({ from: z.array(policyPeer).optional(), ports: z.array(policyPort).optional() })).default([]),
    egress: z.array(z.strictObject({ to: z.array(policyPeer).optional(), ports: z.array(policyPort).optional() })).default([]),
  }),
});

/** Objects that ask nothing of a kubelet. */
const noMeaningHere = [
  z.looseObject({ kind: z.literal('Namespace'), metadata }), // its Pod Security level is an admission matter
  z.looseObject({ kind: z.literal('PodDisruptionBudget'), metadata }), // for evictions
] as const;

/** Any object that this cluster takes. */
export const kubernetesObject = z.discriminatedUnion('kind', [statefulSet, deployment, service, configMap, serviceAccount, role, roleBinding, networkPolicy, ...noMeaningHere]);

export type KubernetesObject = z.infer<typeof kubernetesObject>;
export type StatefulSet = z.infer<typeof statefulSet>;
export type Deployment = z.infer<typeof deployment>;
export type Service = z.infer<typeof service>;
export type ConfigMap = z.infer<typeof configMap>;
export type ServiceAccount = z.infer<typeof serviceAccount>;
export type Role = z.infer<typeof role>;
export type RoleBinding = z.infer<typeof roleBinding>;
export type NetworkPolicy = z.infer<typeof networkPolicy>;
export type PolicyPeer = z.infer<typeof policyPeer>;
/** A label selector. */
export type LabelSelector = z.infer<typeof labelSelector>;
export type PodTemplate = z.infer<typeof podTemplate>;
export type Container = z.infer<typeof container>;
export type Volume = z.infer<typeof volume>;
export type ProjectionSource = z.infer<typeof projectionSource>;
export type Probe = z.infer<typeof probe>;
export type EnvironmentVariable = z.infer<typeof environmentVariable>;

type Labels = Readonly<Record<string, string>>;

/** Whether labels have all the values that a map asks for. */
export function hasLabels(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

/** Whether labels are those that a selector asks for; without a selector, any are. */
export function selects(selector: LabelSelector | undefined, labels: Labels): boolean {
  if (!selector) return true;
  return hasLabels(labels, selector.matchLabels) && selector.matchExpressions.every((expression) => holds(expression, labels));
}

function holds({ key, operator, values }: LabelSelector['matchExpressions'][number], labels: Labels): boolean {
  const value = labels[key];
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

const UNITS: Readonly<Record<string, number>> = { '': 1, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };

/** A quantity of Kubernetes as a number: bytes, or processors. @throws Error for one that is not understood */
export function quantity(text: string | number): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(String(text)) ?? [];
  const factor = UNITS[unit ?? '-'];
  if (digits === undefined || factor === undefined) throw new Error(`the quantity ${text} is not understood`);
  return Number(digits) * factor;
}

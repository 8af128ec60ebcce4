import type { KubernetesObject, Rendering } from './objects.js';

/** A mistake that somebody could make in the manifests. */
export interface Mistake {
  readonly what: string;
  /** `Kind/name`; a name that ends with a hash is given without it */
  readonly object: string;
  /** where, elements of lists by name or number; none: a second object is added instead */
  readonly path?: string;
  /** what stands there then, or what becomes of what stood there; nothing removes it */
  readonly value?: unknown;
  /** what must be said about it */
  readonly found: RegExp;
  /** the component of the manifests that are spoiled; none: base, gpu, monitoring and teacher-pool */
  readonly component?: 'cert-manager' | 'external-redis';
}

const [COORDINATOR, WORKER, REDIS, SERVICE] = ['StatefulSet/dd2-coordinator', 'Deployment/dd2-worker', 'StatefulSet/dd2-redis', 'Service/dd2-coordinator'];
const pod = 'spec.template.spec';
const first = `${pod}.containers[0]`;
const more =
  (...added: readonly unknown[]) =>
  (list: readonly unknown[] = []): unknown[] => [...list, ...added];
const without =
  (name: string) =>
  (list: readonly { readonly name: string }[]): unknown[] =>
    list.filter((element) => element.name !== name);
const replaced =
  (from: RegExp | string, to: string) =>
  (text: string): string =>
    text.replace(from, to);
const variable =
  (name: string, value: unknown) =>
  (list: readonly { readonly name: string }[]): unknown[] => [...list.filter((element) => element.name !== name), { name, value }];
const secretVolume = (secretName: string): unknown => ({ name: 'extra', secret: { secretName } });

const types: readonly Mistake[] = [
  { what: 'an unknown field deep in a container', object: WORKER, path: `${first}.readinessProbe.httpGet.prot`, value: 'HTTP', found: /Deployment\/dd2-worker spec\.template\.spec\.containers\[0\]\.readinessProbe\.httpGet\.prot: .*'prot' does not exist/ },
  { what: 'a misspelt field', object: WORKER, path: `${first}.imagePulPolicy`, value: 'Always', found: /containers\[0\]\.imagePulPolicy: .*Did you mean to write 'imagePullPolicy'/ },
  { what: 'a field at the wrong depth', object: COORDINATOR, path: 'spec.terminationGracePeriodSeconds', value: 90, found: /spec\.terminationGracePeriodSeconds: .*does not exist/ },
  { what: 'text for a number', object: WORKER, path: 'spec.replicas', value: '2', found: /spec\.replicas: Type 'string' is not assignable to type 'number'/ },
  { what: 'a number for the value of a variable', object: WORKER, path: `${first}.env`, value: variable('DD2_HEALTH_PORT', 7090), found: /env\[\d+\]\.value: Type 'number' is not assignable to type 'string'/ },
  { what: 'a truth value for a label', object: WORKER, path: 'metadata.labels["dd2.dev/computes"]', value: true, found: /metadata\.labels\["dd2\.dev\/computes"\]: Type 'boolean' is not assignable/ },
  { what: 'a number in a ConfigMap', object: 'ConfigMap/dd2-settings', path: 'data.DD2_THREADS', value: 1, found: /data\.DD2_THREADS: Type 'number' is not assignable/ },
  { what: 'nothing where something is', object: WORKER, path: `${first}.args`, value: null, found: /containers\[0\]\.args: Type 'null' is not assignable/ },
  { what: 'one for a list', object: WORKER, path: `${first}.args`, value: 'worker', found: /containers\[0\]\.args: Type 'string' is not assignable/ },
  { what: 'a missing field', object: WORKER, path: 'spec.selector', found: /Deployment\/dd2-worker spec: Property 'selector' is missing/ },
  { what: 'a container without a name', object: REDIS, path: `${first}.name`, found: /containers\[0\]: Property 'name' is missing/ },
  { what: 'a value that is none of an enumeration', object: WORKER, path: `${first}.imagePullPolicy`, value: 'IfNotpresent', found: /imagePullPolicy: .*"IfNotPresent"/ },
  { what: 'a misspelt protocol', object: SERVICE, path: 'spec.ports[0].protocol', value: 'tcp', found: /spec\.ports\[0\]\.protocol: .*"TCP"/ },
  { what: 'a misspelt access mode', object: REDIS, path: 'spec.volumeClaimTemplates[0].spec.accessModes', value: ['ReadWriteonce'], found: /accessModes\[0\]: .*"ReadWriteOnce"/ },
  { what: 'a misspelt kind of policy', object: 'NetworkPolicy/dd2-default-deny', path: 'spec.policyTypes', value: ['ingress'], found: /policyTypes\[0\]: .*"Ingress"/ },
  { what: 'a kind that does not exist', object: WORKER, path: 'kind', value: 'Deploiment', found: /Deploiment\/dd2-worker apiVersion: the API has no such kind/ },
  { what: 'a version that does not exist', object: WORKER, path: 'apiVersion', value: 'apps/v2', found: /the API has no such kind in this version/ },
  { what: 'a version that is gone', object: 'PodDisruptionBudget/dd2-worker', path: 'apiVersion', value: 'policy/v1beta1', found: /policy\/v1beta1 is not a stable version/ },
  { what: 'an object without a name', object: WORKER, path: 'metadata.name', found: /no object with apiVersion, kind and metadata\.name/ },
  { what: 'an unknown field of a ServiceMonitor', object: 'ServiceMonitor/dd2-coordinator', path: 'spec.endpoints[0].tlsConfig.serverNames', value: [], found: /tlsConfig\.serverNames: .*does not exist/ },
  { what: 'a Certificate without a Secret', component: 'cert-manager', object: 'Certificate/dd2-worker', path: 'spec.secretName', found: /Certificate\/dd2-worker spec: Property 'secretName' is missing/ },
  { what: 'a usage that no certificate has', component: 'cert-manager', object: 'Certificate/dd2-worker', path: 'spec.usages', value: ['client authentication'], found: /spec\.usages\[0\]: .*not assignable/ },
];

const formats: readonly Mistake[] = [
  { what: 'a number for a quantity', object: WORKER, path: `${first}.resources.requests.cpu`, value: 1, found: /resources\.requests: 1 is no quantity/ },
  { what: 'a quantity that is none', object: WORKER, path: `${first}.resources.limits.memory`, value: '4GB', found: /resources\.limits: "4GB" is no quantity/ },
  { what: 'a size that is none', object: WORKER, path: `${pod}.volumes[tmp].emptyDir.sizeLimit`, value: '64 Mi', found: /sizeLimit: "64 Mi" is no quantity/ },
  { what: 'a medium that does not exist', object: WORKER, path: `${pod}.volumes[tmp].emptyDir.medium`, value: 'memory', found: /medium: "memory" is none of/ },
  { what: 'an operator that does not exist', object: 'NetworkPolicy/dd2-to-dns', path: 'spec.podSelector.matchExpressions[0].operator', value: 'in', found: /operator: "in" is none of/ },
  { what: 'a label that is too long', object: WORKER, path: 'metadata.labels.note', value: 'x'.repeat(64), found: /metadata\.labels: .* is no label/ },
  { what: 'a key that no label can have', object: WORKER, path: `${pod}.nodeSelector`, value: { 'a/b/c': 'd' }, found: /nodeSelector: "a\/b\/c": "d" is no label/ },
  { what: 'an object called as the API does not let', object: 'ServiceAccount/dd2-worker', path: 'metadata.name', value: 'dd2_worker', found: /ServiceAccount\/dd2_worker metadata\.name: is no name/ },
  { what: 'a Service that starts with a digit', object: SERVICE, path: 'metadata.name', value: '2dd', found: /Service\/2dd metadata\.name: is no name/ },
  { what: 'a name that leaves no room', object: REDIS, path: 'metadata.name', value: 'redis-'.repeat(9) + 'x', found: /leaves no room for the names of its pods/ },
  { what: 'half a replica', object: WORKER, path: 'spec.replicas', value: 1.5, found: /spec\.replicas: 1\.5 is no whole number/ },
  { what: 'a port beyond the last', object: 'NetworkPolicy/dd2-coordinator-to-redis', path: 'spec.egress[0].ports[0].port', value: 70_000, found: /port: 70000 is no port/ },
  { what: 'a mode that was meant to be octal', object: REDIS, path: `${pod}.volumes[tls].secret.defaultMode`, value: 4400, found: /defaultMode: 4400 is no file mode/ },
  { what: 'a probe without a period', object: WORKER, path: `${first}.livenessProbe.periodSeconds`, value: 0, found: /periodSeconds: 0 is less than 1/ },
  { what: 'a share without its sign', object: WORKER, path: 'spec.strategy.rollingUpdate.maxUnavailable', value: '25', found: /maxUnavailable: "25" is neither/ },
  { what: 'a duration that is none', object: 'ServiceMonitor/dd2-coordinator', path: 'spec.endpoints[0].interval', value: '15 s', found: /interval: "15 s" is no duration/ },
  { what: 'days, which cert-manager does not know', component: 'cert-manager', object: 'Certificate/dd2-worker', path: 'spec.duration', value: '90d', found: /spec\.duration: "90d" is no duration/ },
];

const pods: readonly Mistake[] = [
  { what: 'two containers of one name', object: COORDINATOR, path: `${pod}.initContainers[1].name`, value: 'bootstrap', found: /bootstrap is there twice/ },
  { what: 'two volumes of one name', object: WORKER, path: `${pod}.volumes`, value: more({ name: 'tmp', emptyDir: {} }), found: /volumes\[\d+\]\.name: tmp is there twice/ },
  { what: 'two ports of one name', object: COORDINATOR, path: `${first}.ports[1].name`, value: 'grpc', found: /grpc is there twice/ },
  { what: 'a port that is there twice', object: COORDINATOR, path: `${first}.ports[1].containerPort`, value: 7070, found: /port 7070 is there twice/ },
  { what: 'a variable that is there twice', object: WORKER, path: `${first}.env`, value: more({ name: 'DD2_CERTS', value: '/tmp' }), found: /DD2_CERTS is there twice/ },
  { what: 'a name that no port can have', object: WORKER, path: `${first}.ports[0].name`, value: 'health-of-the-worker', found: /is no name of a port/ },
  { what: 'a mount without a volume', object: WORKER, path: `${first}.volumeMounts`, value: more({ name: 'cache', mountPath: '/cache' }), found: /the pod has no volume cache/ },
  { what: 'a volume that nobody mounts', object: WORKER, path: `${pod}.volumes`, value: more({ name: 'cache', emptyDir: {} }), found: /no container mounts the volume cache/ },
  { what: 'a claim that nobody mounts', object: COORDINATOR, path: `${first}.volumeMounts`, value: without('data'), found: /no container mounts the claim data/ },
  { what: 'two mounts in one place', object: WORKER, path: `${first}.volumeMounts`, value: more({ name: 'tmp', mountPath: '/run/dd2' }), found: /something is mounted at \/run\/dd2 already/ },
  { what: 'a volume with two sources', object: WORKER, path: `${pod}.volumes[tmp].configMap`, value: { name: 'dd2-settings' }, found: /volume tmp has 2 sources/ },
  { what: 'a probe of a port that is not there', object: WORKER, path: `${first}.livenessProbe.httpGet.port`, value: 'http', found: /livenessProbe\.httpGet\.port: the container has no port http/ },
  { what: 'a probe that asks nothing', object: WORKER, path: `${first}.livenessProbe.httpGet`, found: /livenessProbe: is to have one of/ },
  { what: 'more requested than allowed', object: WORKER, path: `${first}.resources.requests.memory`, value: '32Gi', found: /requests\.memory: 32Gi is more than the limit 16Gi/ },
  { what: 'a pod that is not started again', object: WORKER, path: `${pod}.restartPolicy`, value: 'OnFailure', found: /restartPolicy: pods of a Deployment are always started again/ },
  { what: 'a variable with two sources', object: WORKER, path: `${first}.env[DD2_WORKER_NAME].value`, value: 'worker', found: /DD2_WORKER_NAME is to have one source/ },
  { what: 'a probe of an init container', object: COORDINATOR, path: `${pod}.initContainers[0].readinessProbe`, value: { exec: { command: ['true'] } }, found: /an init container has no probes/ },
  { what: 'two sources in one', object: WORKER, path: `${pod}.volumes[credentials].projected.sources[1].configMap`, value: { name: 'kube-root-ca.crt' }, found: /projected\.sources\[1\]: is to be one source/ },
  { what: 'a share of a device', object: WORKER, path: `${first}.resources.limits["nvidia.com/gpu"]`, value: '2', found: /counted in devices/ },
];

const selectors: readonly Mistake[] = [
  { what: 'a workload that does not know its pods', object: WORKER, path: 'spec.selector.matchLabels["app.kubernetes.io/component"]', value: 'workers', found: /Deployment\/dd2-worker spec\.selector: does not select its own pods/ },
  { what: 'a workload that takes the pods of another', object: WORKER, path: 'spec.selector.matchLabels', value: { 'app.kubernetes.io/name': 'dd2' }, found: /spec\.selector: selects the pods of StatefulSet dd2-redis, too/ },
  { what: 'a Service that selects nothing', object: SERVICE, path: 'spec.selector["app.kubernetes.io/component"]', value: 'server', found: /Service\/dd2-coordinator spec\.selector: selects no pod/ },
  { what: 'a Service that selects too much', object: SERVICE, path: 'spec.selector', value: { 'app.kubernetes.io/name': 'dd2' }, found: /spec\.selector: selects pods of/ },
  { what: 'two ports of a Service with one name', object: SERVICE, path: 'spec.ports[1].name', value: 'grpc', found: /spec\.ports\[1\]\.name: grpc is there twice/ },
  { what: 'a budget that says two things', object: 'PodDisruptionBudget/dd2-worker', path: 'spec.minAvailable', value: 1, found: /one of minAvailable and maxUnavailable/ },
  { what: 'a port that leads nowhere', object: SERVICE, path: 'spec.ports[1].targetPort', value: 'https', found: /targetPort: StatefulSet dd2-coordinator has no port https/ },
  { what: 'a set of pods without names', object: COORDINATOR, path: 'spec.serviceName', value: 'dd2-coordinator', found: /the Service dd2-coordinator is not headless/ },
  { what: 'a set of pods with no Service', object: REDIS, path: 'spec.serviceName', value: 'redis', found: /there is no Service redis/ },
  { what: 'a budget for nobody', object: 'PodDisruptionBudget/dd2-worker', path: 'spec.selector.matchLabels["app.kubernetes.io/component"]', value: 'none', found: /PodDisruptionBudget\/dd2-worker spec\.selector: selects no pod/ },
  { what: 'a budget that blocks drains', object: 'PodDisruptionBudget/dd2-worker', path: 'spec.maxUnavailable', value: 0, found: /never lets a pod go/ },
  { what: 'two budgets for the same pods', object: 'PodDisruptionBudget/dd2-worker', path: 'spec.selector.matchLabels', value: { 'dd2.dev/computes': 'true' }, found: /have another budget/ },
  { what: 'a policy for nobody', object: 'NetworkPolicy/dd2-worker-to-coordinator', path: 'spec.podSelector.matchLabels["dd2.dev/computes"]', value: 'yes', found: /NetworkPolicy\/dd2-worker-to-coordinator spec\.podSelector: selects no pod/ },
  { what: 'a policy that lets nobody in', object: 'NetworkPolicy/dd2-redis-from-coordinator', path: 'spec.ingress[0].from[0].podSelector.matchLabels["app.kubernetes.io/component"]', value: 'server', found: /from\[0\]\.podSelector: selects no pod/ },
  { what: 'a policy for a port that is not there', object: 'NetworkPolicy/dd2-redis-from-coordinator', path: 'spec.ingress[0].ports[0].port', value: 6380, found: /not every pod that it selects has a port 6380/ },
  { what: 'pods that are spread by the labels of others', object: WORKER, path: `${pod}.topologySpreadConstraints[0].labelSelector.matchLabels["app.kubernetes.io/component"]`, value: 'redis', found: /topologySpreadConstraints\[0\]\.labelSelector: does not select its own pods/ },
  { what: 'a monitor of a Service that is not there', object: 'ServiceMonitor/dd2-coordinator', path: 'spec.selector.matchLabels', value: { app: 'dd2' }, found: /ServiceMonitor\/dd2-coordinator spec\.selector: selects no Service/ },
  { what: 'a monitor of a port that is not there', object: 'ServiceMonitor/dd2-coordinator', path: 'spec.endpoints[0].port', value: 'metrics', found: /no Service that it selects has a port metrics/ },
  { what: 'a monitor that reads twice', object: 'ServiceMonitor/dd2-coordinator', path: 'spec.selector.matchLabels', value: { 'app.kubernetes.io/component': 'coordinator' }, found: /they are read twice/ },
];

const references: readonly Mistake[] = [
  { what: 'an account that is not there', object: WORKER, path: `${pod}.serviceAccountName`, value: 'worker', found: /there is no ServiceAccount worker/ },
  { what: 'a ConfigMap that is not there', object: WORKER, path: `${first}.envFrom[0].configMapRef.name`, value: 'dd2-settings', found: /envFrom\[0\]: nobody makes the ConfigMap dd2-settings/ },
  { what: 'a ConfigMap that nobody reads', object: 'ConfigMap/spare', value: { apiVersion: 'v1', data: { a: 'b' } }, found: /ConfigMap\/spare: nobody reads it/ },
  { what: 'a key that no ConfigMap has', object: WORKER, path: `${first}.env`, value: more({ name: 'A', valueFrom: { configMapKeyRef: { name: 'kube-root-ca.crt', key: 'ca.pem' } } }), found: /the ConfigMap kube-root-ca\.crt has no key ca\.pem/ },
  { what: 'a Secret that nobody makes', object: WORKER, path: `${pod}.volumes[credentials].projected.sources[1].secret.name`, value: 'dd2-token', found: /nobody makes the Secret dd2-token/ },
  { what: 'an optional Secret that nobody makes', object: COORDINATOR, path: `${pod}.volumes[credentials].projected.sources[1].secret.name`, value: 'dd2-token', found: /nobody makes the Secret dd2-token/ },
  { what: 'a key that no Secret has', object: WORKER, path: `${pod}.volumes[credentials].projected.sources[1].secret.items[0].key`, value: 'join', found: /the Secret dd2-join-token has no key join/ },
  { what: 'Secrets without their maker', object: COORDINATOR, path: `${pod}.initContainers[0].args`, value: ['doctor'], found: /nobody makes the Secret dd2-join-token/ },
  { what: 'a Secret of a maker that leaves it out', object: COORDINATOR, path: `${pod}.initContainers[0].args`, value: more('--without-redis'), found: /nobody makes the Secret dd2-redis/ },
  { what: 'a Secret that Prometheus cannot find', object: 'ServiceMonitor/dd2-coordinator', path: 'spec.endpoints[0].authorization.credentials.key', value: 'metrics', found: /the Secret dd2-metrics-token has no key metrics/ },
  { what: 'a Secret that no person is told to make', component: 'external-redis', object: COORDINATOR, path: 'metadata.annotations', found: /nobody makes the Secret dd2-external-redis/ },
  { what: 'a claim that is not there', object: WORKER, path: `${pod}.volumes[tmp]`, value: { name: 'tmp', persistentVolumeClaim: { claimName: 'tmp' } }, found: /there is no claim tmp/ },
  { what: 'an issuer that is not there', component: 'cert-manager', object: 'Certificate/dd2-worker', path: 'spec.issuerRef.name', value: 'dd2', found: /there is no Issuer dd2/ },
  { what: 'a role that is not there', object: 'RoleBinding/dd2-coordinator', path: 'roleRef.name', value: 'dd2', found: /roleRef: there is no Role dd2/ },
  { what: 'a role for somebody else', object: 'RoleBinding/dd2-coordinator', path: 'subjects[0].namespace', value: 'default', found: /there is no ServiceAccount dd2-coordinator in the namespace default/ },
  { what: 'an object that is there twice', object: 'ServiceAccount/dd2-worker', value: { apiVersion: 'v1' }, found: /ServiceAccount\/dd2-worker: is there twice/ },
  { what: 'an object in another namespace', object: 'ServiceAccount/dd2-worker', path: 'metadata.namespace', value: 'default', found: /there is no namespace default/ },
  { what: 'an object without a namespace', object: 'ServiceAccount/dd2-worker', path: 'metadata.namespace', found: /ServiceAccount\/dd2-worker metadata\.namespace: is missing/ },
  { what: 'a certificate that lacks a name', component: 'cert-manager', object: 'Certificate/dd2-coordinator', path: 'spec.dnsNames', value: ['localhost'], found: /spec\.dnsNames: lacks dd2-coordinator,/ },
  { what: 'a worker that signs', component: 'cert-manager', object: 'Certificate/dd2-worker', path: 'spec.isCA', value: true, found: /spec\.isCA: this is no authority/ },
  { what: 'an authority that cannot sign', component: 'cert-manager', object: 'Certificate/dd2-ca', path: 'spec.isCA', found: /spec\.isCA: is not true/ },
  { what: 'a certificate for nobody', component: 'cert-manager', object: 'Certificate/dd2-worker', path: 'spec.secretName', value: 'dd2-tls', found: /nothing reads a certificate in the Secret dd2-tls/ },
  { what: 'a certificate for the other end', component: 'cert-manager', object: 'Certificate/dd2-worker', path: 'spec.usages', value: ['server auth'], found: /spec\.usages: lacks "client auth"/ },
  { what: 'a certificate that is always too old', component: 'cert-manager', object: 'Certificate/dd2-worker', path: 'spec.renewBefore', value: '9000h', found: /9000h is not less than the duration/ },
];

const policy: readonly Mistake[] = [
  ...(['hostNetwork', 'hostPID', 'hostIPC'] as const).map((field): Mistake => ({ what: `${field}`, object: WORKER, path: `${pod}.${field}`, value: true, found: new RegExp(`${field}: shares what belongs to the node`) })),
  { what: 'a folder of the node', object: WORKER, path: `${pod}.volumes[tmp]`, value: { name: 'tmp', hostPath: { path: '/tmp' } }, found: /volumes\[\d+\]\.hostPath: .*"restricted" does not let in/ },
  { what: 'a port of the node', object: WORKER, path: `${first}.ports[0].hostPort`, value: 7090, found: /hostPort: opens a port of the node/ },
  { what: 'a privileged container', object: WORKER, path: `${first}.securityContext.privileged`, value: true, found: /privileged: is privileged/ },
  { what: 'escalation of privileges', object: WORKER, path: `${first}.securityContext.allowPrivilegeEscalation`, found: /allowPrivilegeEscalation: is not false/ },
  { what: 'a root file system that can be written to', object: COORDINATOR, path: `${pod}.initContainers[0].securityContext.readOnlyRootFilesystem`, value: false, found: /initContainers\[0\]\.securityContext\.readOnlyRootFilesystem: is not true/ },
  { what: 'capabilities that stay', object: WORKER, path: `${first}.securityContext.capabilities.drop`, value: ['NET_RAW'], found: /does not drop ALL/ },
  { what: 'a capability that comes', object: WORKER, path: `${first}.securityContext.capabilities.add`, value: ['NET_BIND_SERVICE'], found: /adds NET_BIND_SERVICE/ },
  { what: 'root', object: WORKER, path: `${pod}.securityContext.runAsUser`, value: 0, found: /runAsUser: is no user other than root/ },
  { what: 'perhaps root', object: WORKER, path: `${pod}.securityContext.runAsNonRoot`, found: /runAsNonRoot: is not true/ },
  { what: 'root in one container', object: WORKER, path: `${first}.securityContext.runAsNonRoot`, value: false, found: /runAsNonRoot: is not true/ },
  { what: 'all system calls', object: REDIS, path: `${pod}.securityContext.seccompProfile.type`, value: 'Unconfined', found: /seccompProfile: is not RuntimeDefault/ },
  { what: 'a token of the API for every container', object: WORKER, path: `${pod}.automountServiceAccountToken`, found: /automountServiceAccountToken: is not false/ },
  { what: 'a container without a limit of memory', object: REDIS, path: `${first}.resources.limits.memory`, found: /resources\.limits\.memory: is missing/ },
  { what: 'settings of the node', object: REDIS, path: `${pod}.securityContext.sysctls`, value: [{ name: 'net.core.somaxconn', value: '1024' }], found: /sysctls: sets what belongs to the node/ },
  { what: 'an account by default', object: WORKER, path: `${pod}.serviceAccountName`, found: /serviceAccountName: is missing/ },
  { what: 'variables of every Service', object: WORKER, path: `${pod}.enableServiceLinks`, found: /enableServiceLinks: is not false/ },
  { what: 'the latest image', object: REDIS, path: `${first}.image`, value: 'docker.io/library/redis:latest', found: /"docker\.io\/library\/redis:latest" is not pinned/ },
  { what: 'an image without a tag', object: REDIS, path: `${first}.image`, value: 'localhost:5000/redis', found: /is not pinned/ },
  { what: 'a container that nobody asks whether it is alive', object: WORKER, path: `${first}.livenessProbe`, found: /livenessProbe: is missing/ },
  { what: 'a role for everything', object: 'Role/dd2-coordinator', path: 'rules[0].verbs', value: ['*'], found: /allows to \* secrets\/\*/ },
  { what: 'a role that lists Secrets', object: 'Role/dd2-coordinator', path: 'rules[1].verbs', value: more('list'), found: /allows to list secrets\/dd2-ca/ },
  { what: 'a role for Secrets of others', object: 'Role/dd2-coordinator', path: 'rules[1].resourceNames', value: more('other'), found: /allows to get secrets\/other/ },
  { what: 'a role for every Secret', object: 'Role/dd2-coordinator', path: 'rules[1].resourceNames', found: /allows to get secrets\/\*/ },
  { what: 'a role that does not do', object: 'Role/dd2-coordinator', path: 'rules[0].verbs', value: ['get'], found: /does not allow to create secrets/ },
  { what: "a role that reads cert-manager's authority", component: 'cert-manager', object: 'Role/dd2-coordinator', path: 'rules[1].resourceNames', value: more('dd2-ca'), found: /allows to get secrets\/dd2-ca/ },
  { what: 'rights in the whole cluster', object: 'ClusterRole/dd2', value: { apiVersion: 'rbac.authorization.k8s.io/v1', rules: [] }, found: /ClusterRole\/dd2: reaches beyond the namespace/ },
  { what: "the authority's key in a pod", object: WORKER, path: `${pod}.volumes`, value: more(secretVolume('dd2-ca')), found: /the Secret dd2-ca is not for these pods/ },
  { what: "people's token in a worker", object: WORKER, path: `${pod}.volumes`, value: more(secretVolume('dd2-api-token')), found: /the Secret dd2-api-token is not for these pods/ },
  { what: 'a token of the API where it is not needed', object: COORDINATOR, path: `${first}.volumeMounts`, value: more({ name: 'api-access', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' }), found: /a token of the API that only bootstrap needs/ },
];

const material: readonly Mistake[] = [
  { what: 'a Secret', object: 'Secret/dd2-join-token', value: { apiVersion: 'v1', stringData: { token: 'x' } }, found: /Secret\/dd2-join-token: a Secret in a file is none/ },
  { what: 'a certificate in a ConfigMap', object: 'ConfigMap/dd2-settings', path: 'data.CA', value: '-----BEGIN CERTIFICATE-----\nMIIB', found: /data\.CA: looks like a PEM file/ },
  { what: 'a token in a variable', object: WORKER, path: `${first}.env`, value: more({ name: 'DD2_TOKEN', value: 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA' }), found: /looks like a token/ },
  { what: 'a password in a URL', object: COORDINATOR, path: `${first}.env`, value: variable('DD2_REDIS_URL', 'rediss://:geheim@dd2-redis:6379'), found: /looks like a URL with a password/ },
  { what: 'a password in redis.conf', object: 'ConfigMap/dd2-redis-config', path: 'data["redis.conf"]', value: replaced(/$/, '\nrequirepass geheim\n'), found: /looks like a password of Redis/ },
];

const settings: readonly Mistake[] = [
  { what: 'a variable that dd2 does not know', object: WORKER, path: `${first}.env`, value: more({ name: 'DD2_TREADS', value: '2' }), found: /dd2 worker does not read DD2_TREADS/ },
  { what: 'a setting that nobody reads', object: 'ConfigMap/dd2-settings', path: 'data.DD2_MIN_WORKER', value: '2', found: /data\.DD2_MIN_WORKER: no command that gets it reads it/ },
  { what: 'a setting that dd2 refuses', object: 'ConfigMap/dd2-settings', path: 'data.DD2_THREADS', value: 'two', found: /args: dd2 refuses it: .*'two' from env 'DD2_THREADS'/ },
  { what: 'an argument that dd2 does not know', object: COORDINATOR, path: `${first}.args`, value: more('--datadir=/data'), found: /dd2 refuses it: unknown option '--datadir=\/data'/ },
  { what: 'a command that dd2 does not have', object: WORKER, path: `${first}.args`, value: ['wroker'], found: /dd2 refuses it: unknown command 'wroker'/ },
  { what: 'a drain that is cut off', object: WORKER, path: `${pod}.terminationGracePeriodSeconds`, value: 45, found: /terminationGracePeriodSeconds: the drain may take 45 s/ },
  { what: 'a drain that was made longer', object: 'ConfigMap/dd2-settings', path: 'data.DD2_DRAIN_SECONDS', value: '90', found: /Deployment\/dd2-worker .*terminationGracePeriodSeconds: the drain may take 90 s/ },
  { what: 'a coordinator that cannot write its checkpoints', object: COORDINATOR, path: `${pod}.terminationGracePeriodSeconds`, value: 60, found: /the coordinator closes within 60 s/ },
  { what: 'a coordinator that nobody reaches', object: COORDINATOR, path: `${first}.env`, value: without('DD2_HOST'), found: /listens on 127\.0\.0\.1, where nobody reaches it/ },
  { what: 'a coordinator without TLS', object: COORDINATOR, path: `${first}.env`, value: without('DD2_CERTS'), found: /listens without TLS/ },
  { what: 'a port other than that of the pod', object: COORDINATOR, path: `${first}.env`, value: variable('DD2_PORT', '7071'), found: /port is 7071, which is no port of the container/ },
  { what: 'a coordinator by another name', object: WORKER, path: `${first}.env`, value: variable('DD2_COORDINATOR', 'dd2-coordinator:7071'), found: /there is no Service dd2-coordinator with port 7071/ },
  { what: 'a file that no volume brings', object: WORKER, path: `${first}.env`, value: variable('DD2_TOKEN_FILE', '/run/dd2/tokens/worker'), found: /no volume brings \/run\/dd2\/tokens\/worker/ },
  { what: 'a file that init waits for in vain', object: COORDINATOR, path: `${pod}.initContainers[1].args`, value: more('--file=/run/dd2/tokens/people'), found: /no volume brings \/run\/dd2\/tokens\/people/ },
  { what: 'a probe that reads a file that is not there', object: REDIS, path: `${first}.readinessProbe.exec.command`, value: ['cat', '/run/redis/password'], found: /no volume brings \/run\/redis\/password/ },
  { what: 'a folder that cannot be written to', object: WORKER, path: `${first}.volumeMounts`, value: without('tmp'), found: /\/tmp cannot be written to/ },
  { what: 'a data folder elsewhere', object: COORDINATOR, path: `${first}.env`, value: variable('DD2_DATA_DIR', '/var/data'), found: /\/var\/data cannot be written to/ },
];

const redis = ['ConfigMap/dd2-redis-config', 'data["redis.conf"]'] as const;
const queue: readonly Mistake[] = [
  { what: 'queues that lose entries', object: redis[0], path: redis[1], value: replaced('noeviction', 'allkeys-lru'), found: /maxmemory-policy: is allkeys-lru/ },
  { what: 'queues that are forgotten', object: redis[0], path: redis[1], value: replaced('appendonly yes', 'appendonly no'), found: /appendonly: is no, not yes/ },
  { what: 'Redis without TLS', object: redis[0], path: redis[1], value: replaced('port 0', 'port 6379'), found: /redis\.conf port: is 6379, not 0/ },
  { what: 'Redis without users', object: redis[0], path: redis[1], value: replaced(/^aclfile .*$/m, ''), found: /aclfile: is missing/ },
  { what: 'more memory than there is', object: redis[0], path: redis[1], value: replaced(/^maxmemory .*$/m, 'maxmemory 1gb'), found: /maxmemory: is 1gb, which is not less than the limit/ },
  { what: 'a file that Redis cannot find', object: redis[0], path: redis[1], value: replaced('/run/redis/tls/tls.key', '/run/redis/tls/redis.key'), found: /no volume brings \/run\/redis\/tls\/redis\.key/ },
];

const network: readonly Mistake[] = [
  { what: 'a Redis for every pod of the namespace', object: 'NetworkPolicy/dd2-redis-from-coordinator', path: 'spec.ingress[0].from', value: more({ podSelector: {} }), found: /worker to redis TCP 6379 is let in/ },
  { what: 'pods that everybody reaches', object: 'NetworkPolicy/dd2-default-deny', path: 'spec.policyTypes', value: ['Egress'], found: /a pod of another namespace to worker TCP 7090 is let in/ },
  { what: 'pods that reach everybody', object: 'NetworkPolicy/dd2-default-deny', path: 'spec.policyTypes', value: ['Ingress'], found: /redis to the internet TCP 443 is let out/ },
  { what: 'a policy for everything', object: 'NetworkPolicy/all', value: { apiVersion: 'networking.k8s.io/v1', spec: { podSelector: {}, ingress: [{}], egress: [{}] } }, found: /worker to teacher-worker TCP 7090 is let in/ },
  { what: 'a Redis for everybody', object: 'NetworkPolicy/dd2-redis-from-coordinator', path: 'spec.ingress[0].from', found: /the internet to redis TCP 6379 is let in/ },
  { what: 'a worker that dials the world', object: 'NetworkPolicy/dd2-worker-to-coordinator', path: 'spec.egress', value: more({}), found: /worker to the internet TCP 443 is let out/ },
  { what: 'a coordinator for pods of other namespaces', object: 'NetworkPolicy/dd2-coordinator-from-worker', path: 'spec.ingress[0].from[0].namespaceSelector', value: {}, found: /a pod of another namespace to coordinator TCP 7070 is let in/ },
  { what: 'more ports than needed', object: 'NetworkPolicy/dd2-coordinator-from-worker', path: 'spec.ingress[0].ports', found: /worker to coordinator TCP 7080 is let in/ },
  { what: 'other ports by a name', object: 'NetworkPolicy/dd2-coordinator-from-worker', path: 'spec.ingress[0].ports[0].port', value: 'http', found: /worker to coordinator TCP 7080 is let in/ },
  { what: 'addresses instead of pods', object: 'NetworkPolicy/dd2-redis-from-coordinator', path: 'spec.ingress[0].from', value: [{ ipBlock: { cidr: '0.0.0.0/0', except: ['169.254.0.0/16'] } }], found: /the internet to redis TCP 6379 is let in/ },
  { what: 'a worker that cannot reach its coordinator', object: 'NetworkPolicy/dd2-worker-to-coordinator', path: 'spec.egress[0].ports[0].port', value: 7080, found: /worker to coordinator TCP 7070 is closed/ },
  { what: 'names that are not resolved', object: 'NetworkPolicy/dd2-to-dns', path: 'spec.egress[0].ports', value: [{ port: 53, protocol: 'TCP' }], found: /worker to DNS UDP 53 is closed/ },
  { what: 'a coordinator without the API server', object: 'NetworkPolicy/dd2-coordinator-to-api-server', path: 'spec.egress', value: [], found: /coordinator to the API server TCP 6443 is closed/ },
  { what: 'a Prometheus that is kept out', object: 'NetworkPolicy/dd2-coordinator-from-prometheus', path: 'spec.ingress', value: [], found: /Prometheus to coordinator TCP 7080 is closed/ },
];

const versions: readonly Mistake[] = [
  { what: 'a probe that Kubernetes 1.20 does not know', object: COORDINATOR, path: `${first}.livenessProbe`, value: { grpc: { port: 7070 } }, found: /livenessProbe\.grpc: is there from Kubernetes 1\.24 on/ },
  { what: 'a label that namespaces get later', object: 'NetworkPolicy/dd2-to-dns', path: 'spec.egress[0].to[0].namespaceSelector', value: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } }, found: /is there from Kubernetes 1\.21 on/ },
  { what: 'an init container that goes on', object: COORDINATOR, path: `${pod}.initContainers[1].restartPolicy`, value: 'Always', found: /initContainers\[1\]\.restartPolicy: is there from Kubernetes 1\.28 on/ },
];

/** One for each kind of check at least. */
export const mistakes: readonly Mistake[] = [...types, ...formats, ...pods, ...selectors, ...references, ...policy, ...material, ...settings, ...queue, ...network, ...versions];

/** Makes the mistake in a copy. @throws {Error} when there is nothing to spoil */
export function spoil(rendering: Rendering, { what, object, path, value }: Mistake): Rendering {
  const [kind = '', name = ''] = object.split('/');
  const copy = structuredClone(rendering);
  if (path === undefined) {
    const added = { kind, metadata: { name, ...(kind === 'ClusterRole' ? {} : { namespace: 'dd2' }) }, ...(value as object) } as KubernetesObject;
    return { ...copy, name: what, objects: [...copy.objects, added] };
  }
  const target = copy.objects.find((candidate) => candidate.kind === kind && (candidate.metadata.name === name || (kind === 'ConfigMap' && candidate.metadata.name.replace(/-[a-z0-9]{10}$/, '') === name)));
  if (!target) throw new Error(`there is no ${object}`);
  const keys = [...path.matchAll(/\["([^"]+)"\]|([\w-]+)/g)].map(([, quoted, word]) => quoted ?? word ?? '');
  let parent = target as unknown as Parent;
  for (const key of keys.slice(0, -1)) {
    const child = childOf(parent, key);
    if (typeof child !== 'object' || child === null) throw new Error(`${object} has no ${key} of ${path}`);
    parent = child as Parent;
  }
  const last = keyIn(parent, keys.at(-1) ?? '');
  if (value === undefined && !(last in parent)) throw new Error(`${object} has no ${path}`);
  const next: unknown = typeof value === 'function' ? (value as (before: unknown) => unknown)(parent[last]) : value;
  if (next === undefined) delete parent[last];
  else parent[last] = next;
  return { ...copy, name: what };
}

type Parent = Record<string, unknown>;

/** In a list, a word is the name of an element. */
const keyIn = (parent: Parent, key: string): string => (Array.isArray(parent) && !/^\d+$/.test(key) ? String(parent.findIndex((element: { readonly name?: string }) => element.name === key)) : key);
const childOf = (parent: Parent, key: string): unknown => parent[keyIn(parent, key)];

import { finding, valuesOf, type Finding, type KubernetesObject, type Rendering } from './objects.js';
import { parseDuration, parseQuantity } from './quantities.js';

const dnsLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const dnsLabelFromLetter = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;
const dnsName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const rbacName = /^[^/%]+$/;
const word = /^[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$/;

/** What a pod's host name is made of leaves room for what is appended. */
const LONGEST_WORKLOAD = 52;
const nameFormats: Readonly<Record<string, RegExp>> = { Service: dnsLabelFromLetter, Namespace: dnsLabel, Role: rbacName, RoleBinding: rbacName };
const workloads = ['StatefulSet', 'Deployment', 'DaemonSet', 'Job', 'CronJob'];

type Problem = string | undefined;
const when = (wrong: boolean, message: string): Problem => (wrong ? message : undefined);
const isText = (value: unknown): value is string => typeof value === 'string';
const entriesOf = (value: unknown): [string, unknown][] => (typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : []);
const isPort = (value: unknown): boolean => typeof value === 'number' && value >= 1 && value <= 65_535;

/** An optional DNS name and `/`, then a word of at most 63 characters. */
const isQualifiedName = (key: string): boolean => {
  const [name = '', prefix, ...more] = key.split('/').reverse();
  return word.test(name) && more.length === 0 && (prefix === undefined || dnsName.test(prefix));
};

const labels = (value: unknown): Problem => {
  const wrong = entriesOf(value).find(([key, label]) => !isQualifiedName(key) || !isText(label) || (label !== '' && !word.test(label)));
  return wrong && `${wrong.map((part) => JSON.stringify(part)).join(': ')} is no label`;
};
const oneOf =
  (...values: readonly string[]) =>
  (value: unknown): Problem =>
    when(isText(value) && !values.includes(value), `${JSON.stringify(value)} is none of ${values.join(', ')}`);
const quantity = (value: unknown): Problem => when(!isText(value) || parseQuantity(value) === undefined, `${JSON.stringify(value)} is no quantity, which is text such as "500m" or "2Gi"`);
const quantities = (value: unknown): Problem => {
  const problems = entriesOf(value).map(([key, amount]) => (isQualifiedName(key) ? quantity(amount) : `${key} is no name of a resource`));
  return problems.find((problem) => problem !== undefined);
};
const duration =
  (...units: readonly string[]) =>
  (value: unknown): Problem =>
    when(!isText(value) || parseDuration(value, units) === undefined, `${JSON.stringify(value)} is no duration of ${units.join(', ')}`);
const port = (value: unknown): Problem => when(typeof value === 'number' && !isPort(value), `${String(value)} is no port`);
const mode = (value: unknown): Problem => when(typeof value === 'number' && (value < 0 || value > 0o777), `${String(value)} is no file mode; it is decimal, or octal as 0400`);
const atLeast =
  (least: number) =>
  (value: unknown): Problem =>
    when(typeof value === 'number' && value < least, `${String(value)} is less than ${least}`);
const share = (value: unknown): Problem => when(isText(value) && !/^\d+%$/.test(value), `${JSON.stringify(value)} is neither a number nor a percentage`);
const path = (value: unknown): Problem => when(isText(value) && !/^\/(?!.*(^|\/)\.\.(\/|$))/.test(value), `${JSON.stringify(value)} is no absolute path`);

/** What a value must be like, by the key that it stands under, where the types say no more than text, number or a list of them. */
const rules: Readonly<Record<string, (value: unknown) => Problem>> = {
  labels,
  matchLabels: labels,
  nodeSelector: labels,
  annotations: (value) => entriesOf(value).map(([key]) => when(!isQualifiedName(key), `${JSON.stringify(key)} is no key of an annotation`)).find(isText),
  topologyKey: (value) => when(isText(value) && !isQualifiedName(value), `${JSON.stringify(value)} is no key of a label`),
  operator: oneOf('In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt', 'Equal'),
  medium: oneOf('', 'Memory'),
  requests: quantities,
  limits: quantities,
  sizeLimit: quantity,
  divisor: quantity,
  interval: duration('ms', 's', 'm', 'h', 'd', 'w', 'y'),
  scrapeTimeout: duration('ms', 's', 'm', 'h', 'd', 'w', 'y'),
  duration: duration('ms', 's', 'm', 'h'),
  renewBefore: duration('ms', 's', 'm', 'h'),
  port,
  containerPort: port,
  targetPort: port,
  mode,
  defaultMode: mode,
  minAvailable: share,
  maxUnavailable: share,
  maxSurge: share,
  mountPath: path,
  workingDir: path,
  replicas: atLeast(0),
  terminationGracePeriodSeconds: atLeast(1),
  initialDelaySeconds: atLeast(0),
  periodSeconds: atLeast(1),
  timeoutSeconds: atLeast(1),
  successThreshold: atLeast(1),
  failureThreshold: atLeast(1),
  maxSkew: atLeast(1),
};
/** Maps from names that people choose: what looks like a field there is none. */
const free = /(^|\.)(data|binaryData|labels|matchLabels|annotations|nodeSelector|requests|limits)[.[]/;

/** Names, labels, quantities, durations, ports, modes: what types call text or a number, and the API nevertheless refuses. */
export function* checkFormats({ objects }: Rendering): Generator<Finding> {
  for (const object of objects) {
    yield* nameFindings(object);
    for (const { value, path: at, key } of valuesOf(object)) {
      if (typeof value === 'number' && !Number.isSafeInteger(value)) yield finding(object, at, `${value} is no whole number`);
      if (free.test(at) || !Object.hasOwn(rules, key)) continue;
      const problem = rules[key]?.(value);
      if (problem !== undefined) yield finding(object, at, problem);
    }
  }
}

function* nameFindings(object: KubernetesObject): Generator<Finding> {
  const { kind, metadata } = object;
  const { name } = metadata;
  if (!(nameFormats[kind] ?? dnsName).test(name)) yield finding(object, 'metadata.name', 'is no name that the API takes');
  if (workloads.includes(kind) && (name.length > LONGEST_WORKLOAD || !dnsLabel.test(name))) yield finding(object, 'metadata.name', `leaves no room for the names of its pods: at most ${LONGEST_WORKLOAD} of a-z, 0-9 and -`);
}

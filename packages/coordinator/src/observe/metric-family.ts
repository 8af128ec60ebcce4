/** The labels and the value of one line. */
export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** A metric of `/metrics`: its values are read from `S` when somebody asks. The name of a counter ends with `_total`, no other does. */
export interface MetricFamily<S> {
  readonly kind: 'gauge' | 'counter';
  readonly name: `dd2_${string}`;
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: (source: S) => Iterable<Sample>;
}

export function gauge<S>(name: MetricFamily<S>['name'], help: string, labels: readonly string[], read: MetricFamily<S>['read']): MetricFamily<S> {
  return { kind: 'gauge', name, help, labels, read };
}

/** What is read only grows, until the coordinator is started again or its labels are gone. */
export function counter<S>(name: `dd2_${string}_total`, help: string, labels: readonly string[], read: MetricFamily<S>['read']): MetricFamily<S> {
  return { kind: 'counter', name, help, labels, read };
}

import { firstNotBelow, FloatList } from './float-list.js';
import type { MetricsLine } from './metrics-line.js';
import { SeriesColumn } from './series-column.js';
import { groupOf, seriesGroups, type SeriesGroup } from './series-names.js';
import { copyRates, guidanceFrequency, newRates, throughput, type RatesState } from './update-rates.js';

export const seriesAxes = ['updates', 'generatorUpdates', 'samples', 'wallSeconds'] as const;
export type SeriesAxisName = (typeof seriesAxes)[number];

/** What the next row follows from, beside the rows before it: plain JSON. */
export interface StoreState {
  rows: number;
  /** cumulative */
  samples: number;
  generatorUpdates: number;
  /** since the first update began */
  clockMs: number;
  /** when that was, milliseconds since the epoch, as far as lines say so */
  beganAt: number | null;
  rates: RatesState;
}

/** The places of the updates on an axis are ascending, so they can be searched. */
export type Axes = Readonly<Record<SeriesAxisName, FloatList>>;

/**
 * The metrics of a run by column: each line of metrics.jsonl is a row. Rows have a place on every axis, and each series has
 * points in some of the rows.
 */
export class SeriesStore {
  readonly #groups: Readonly<Record<SeriesGroup, { readonly rows: FloatList; readonly columns: Map<string, SeriesColumn> }>>;
  readonly axes: Axes;
  #state: StoreState;

  constructor(
    kept: { readonly axes: Axes; readonly groups: Readonly<Record<SeriesGroup, FloatList>>; readonly columns: readonly SeriesColumn[]; readonly state: StoreState } = {
      axes: { updates: new FloatList(), generatorUpdates: new FloatList(), samples: new FloatList(), wallSeconds: new FloatList() },
      groups: { tune: new FloatList(), regress: new FloatList(), guidance: new FloatList(), generator: new FloatList(), update: new FloatList() },
      columns: [],
      state: { rows: 0, samples: 0, generatorUpdates: 0, clockMs: 0, beganAt: null, rates: newRates() },
    },
  ) {
    this.axes = kept.axes;
    this.#state = kept.state;
    const groupNamed = (group: SeriesGroup) => {
      const columns = kept.columns.filter(({ name }) => name.startsWith(`${group}.`)).map((column) => [column.name.slice(group.length + 1), column] as const);
      return { rows: kept.groups[group], columns: new Map(columns) };
    };
    this.#groups = { tune: groupNamed('tune'), regress: groupNamed('regress'), guidance: groupNamed('guidance'), generator: groupNamed('generator'), update: groupNamed('update') };
  }

  get rows(): number {
    return this.#state.rows;
  }

  /** Updates that the metrics reach. */
  get updates(): number {
    return this.rows === 0 ? 0 : this.axes.updates.at(this.rows - 1);
  }

  /** A copy of what the next row follows from. */
  get state(): StoreState {
    return { ...this.#state, rates: copyRates(this.#state.rates) };
  }

  /** By group, and in each in the order in which they came up. */
  get columns(): readonly SeriesColumn[] {
    return seriesGroups.flatMap((group) => [...this.#groups[group].columns.values()]);
  }

  column(name: string): SeriesColumn | undefined {
    const group = seriesGroups.find((one) => name.startsWith(`${one}.`));
    return group && this.#groups[group].columns.get(name.slice(group.length + 1));
  }

  /** Rows of the updates of a group, ascending. */
  groupRows(group: SeriesGroup): FloatList {
    return this.#groups[group].rows;
  }

  /** bytes of memory */
  get bytes(): number {
    const { columns } = this;
    const lists = new Set([...Object.values(this.axes), ...this.#rowLists]);
    return [...lists, ...columns].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Appends an update. One that does not come after the last one is left out: the file of a run is ascending. */
  append(line: MetricsLine): void {
    const state = this.#state;
    if (line.update + 1 <= this.updates) return;
    const row = state.rows;
    state.samples += line.samples;
    state.generatorUpdates = Math.max(state.generatorUpdates, line.generatorUpdates);
    this.axes.updates.push(line.update + 1);
    this.axes.generatorUpdates.push(state.generatorUpdates);
    this.axes.samples.push(state.samples);
    this.axes.wallSeconds.push(wallSeconds(state, line));
    state.rows += 1;

    const group = groupOf(line.phase, line.network);
    if (group) {
      this.#groups[group].rows.push(row);
      for (const [metric, value] of line.own) this.#add(group, metric, row, value);
    }
    this.#groups.update.rows.push(row);
    for (const [metric, value] of line.every) this.#add('update', metric, row, value);
    const rates = throughput(state.rates, line);
    if (rates) {
      this.#add('update', 'samplesPerSecond', row, rates.samplesPerSecond);
      this.#add('update', 'updatesPerSecond', row, rates.updatesPerSecond);
    }
    const frequency = guidanceFrequency(state.rates, line);
    if (frequency !== undefined) this.#add('update', 'guidancePerGenerator', row, frequency);
  }

  /** Goes back to a state that it had before. */
  truncate(state: StoreState): void {
    for (const { columns } of Object.values(this.#groups)) {
      for (const [metric, column] of columns) {
        column.truncate(firstNotBelow(column.rows, state.rows, 0, column.length));
        if (column.length === 0) columns.delete(metric);
      }
    }
    for (const rows of this.#rowLists) rows.resize(firstNotBelow(rows, state.rows));
    for (const axis of Object.values(this.axes)) axis.resize(state.rows);
    this.#state = { ...state, rates: copyRates(state.rates) };
  }

  /** Those of the groups, and of series that are missing in some rows of their group. */
  get #rowLists(): ReadonlySet<FloatList> {
    return new Set([...seriesGroups.map((group) => this.#groups[group].rows), ...this.columns.map(({ rows }) => rows)]);
  }

  #add(group: SeriesGroup, metric: string, row: number, value: number): void {
    const { rows, columns } = this.#groups[group];
    let column = columns.get(metric);
    if (!column) {
      column = new SeriesColumn(`${group}.${metric}`, rows);
      columns.set(metric, column);
    }
    // A series that is missing in a row of its group keeps its rows itself from then on.
    if (column.rows === rows && column.length !== rows.length - 1) column.rows = rows.slice(column.length);
    if (column.rows !== rows) column.rows.push(row);
    column.push(value);
  }
}

/**
 * Seconds from the beginning of the first update to the end of this one, pauses included, in whole milliseconds. A line without
 * `at` counts with its own wall time, and so does one before which the clock was set back: the axis never turns around.
 */
function wallSeconds(state: StoreState, { at, wallMs }: MetricsLine): number {
  let clockMs = state.clockMs + wallMs;
  if (at !== undefined) {
    state.beganAt ??= at - clockMs;
    if (at - state.beganAt >= state.clockMs) clockMs = at - state.beganAt;
    else state.beganAt = at - clockMs;
  }
  state.clockMs = clockMs;
  return Math.round(clockMs) / 1_000;
}

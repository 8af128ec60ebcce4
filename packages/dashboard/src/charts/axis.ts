/** What charts are drawn over. Wall time is in seconds since the run's first update began. */
export type Axis = 'updates' | 'generatorUpdates' | 'samples' | 'wallTime';

export const axes = ['updates', 'generatorUpdates', 'samples', 'wallTime'] as const satisfies readonly Axis[];

/** For people, as it stands under a chart. */
export const axisLabels: Readonly<Record<Axis, string>> = {
  updates: 'updates',
  generatorUpdates: 'generator updates',
  samples: 'samples seen',
  wallTime: 'wall time',
};

/** As the API names it. */
export const seriesAxes = {
  updates: 'SERIES_AXIS_UPDATES',
  generatorUpdates: 'SERIES_AXIS_GENERATOR_UPDATES',
  samples: 'SERIES_AXIS_SAMPLES',
  wallTime: 'SERIES_AXIS_WALL_TIME',
} as const satisfies Record<Axis, string>;

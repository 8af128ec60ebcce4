export * from './errors.js';
export * from './frechet.js';
export * from './philox.js';
export * from './program.js';
export * from './reduction-order.js';
export * from './run-spec.js';
export * from './schedule.js';
export * from './sufficient-statistics.js';

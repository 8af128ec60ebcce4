export { QueueStore } from './queue-store.js';
export type { JobQueue } from './job-queue.js';
export type { QueueJob } from './job-record.js';

import { Dd2Error } from '@dd2/core';
import type { JobsOptions } from 'bullmq';
import { z } from 'zod';

/** What a job may weigh: a queue carries ids and settings; tensors go through files and streams. */
export const MAX_JOB_BYTES = 64 * 1024;

/** What the queue is asked to hold. */
export interface QueueJob<D> {
  /** identifies the job for ever: the same id is the same job */
  readonly id: string;
  readonly data: D;
  /** larger first, within +-1,000,000; jobs of one priority are taken in the order in which they came */
  readonly priority: number;
}

/** What a job is in the store. The data are text, so that no store interprets them. */
export interface JobRecord {
  /** the data as JSON */
  readonly json: string;
  /** attempts that failed under former coordinators */
  readonly failures: number;
}

const recordSchema = z.object({ json: z.string(), failures: z.number().int().nonnegative() });

/** @throws {Dd2Error} INVALID_ARGUMENT when the data are not what the queue carries, or too much */
export function encodeJob<D>(job: QueueJob<D>, schema: z.ZodType<D>): JobRecord {
  const parsed = schema.safeParse(job.data);
  if (!parsed.success) {
    throw new Dd2Error('INVALID_ARGUMENT', `job ${job.id} does not fit its queue: ${z.prettifyError(parsed.error)}`, { field: 'data', cause: parsed.error });
  }
  const json = JSON.stringify(parsed.data);
  const bytes = Buffer.byteLength(json);
  if (bytes > MAX_JOB_BYTES) {
    throw new Dd2Error('INVALID_ARGUMENT', `job ${job.id} has ${bytes} bytes, a queue carries ${MAX_JOB_BYTES}`, {
      field: 'data',
      remedy: 'Put large things into files and the path into the job',
    });
  }
  return { json, failures: 0 };
}

/** @throws {Dd2Error} INVALID_ARGUMENT when another version of the product wrote something else */
export function decodeJob<D>(id: string, record: unknown, schema: z.ZodType<D>): D {
  try {
    return schema.parse(JSON.parse(recordSchema.parse(record).json));
  } catch (cause) {
    throw new Dd2Error('INVALID_ARGUMENT', `job ${id} in the queue store cannot be read`, { field: 'data', cause });
  }
}

/** Attempts that failed before: under former coordinators and under this one. */
export function failuresOf(job: { readonly data: unknown; readonly attemptsMade: number }): number {
  const record = recordSchema.safeParse(job.data);
  return (record.success ? record.data.failures : 0) + job.attemptsMade;
}

const PREFIX = 'job.';

/** The job's name in the store, where neither a colon nor a plain number is allowed. */
export const storeId = (id: string): string => PREFIX + encodeURIComponent(id);

/** The inverse of `storeId`; undefined for what is no job of ours. */
export function jobId(storedId: string | undefined): string | undefined {
  return storedId?.startsWith(PREFIX) === true ? decodeURIComponent(storedId.slice(PREFIX.length)) : undefined;
}

/** The name under which BullMQ holds our jobs; others are probes. */
export const JOB = 'job';

/** How BullMQ is to treat a job that has `attempts` attempts left. Finished ones are removed: what became of them stands in the run folders. */
export function storeOptions(id: string, priority: number, attempts: number): JobsOptions {
  return {
    jobId: storeId(id),
    priority: toStorePriority(priority),
    attempts: Math.max(1, attempts),
    backoff: { type: 'custom' },
    removeOnComplete: true,
    removeOnFail: true,
    stackTraceLimit: 0,
  };
}

const MIDDLE = 1_000_001;

/** In the store 1 comes first and 2^21 last. */
export const toStorePriority = (priority: number): number => MIDDLE - Math.max(-1_000_000, Math.min(1_000_000, Math.round(priority)));
export const fromStorePriority = (priority: number): number => MIDDLE - priority;

const LONGEST_DELAY_MS = 5 * 60_000;

/** Time until the next attempt after `failures` failed ones: doubled each time, at most five minutes. */
export const retryDelay = (failures: number, backoffMs: number): number => Math.min(LONGEST_DELAY_MS, backoffMs * 2 ** (failures - 1));

import type { Checkpoint, ErrorDetail, PushedAssets, Run, RunEvent, Worker } from '@dd2/proto';
import { WorkerState } from '@dd2/proto';
import { stateName } from './run-outcome.js';
import { isoTime } from './time.js';

// What `--json` prints: the fields of the wire, with names, numbers and times as people write them. docs/cli.md lists them.

export function plainRun({ $typeName: _type, $unknown: _unknown, state, createdAt, updatedAt, error, fidCurve, ...run }: Run): object {
  return { ...run, state: stateName(state), createdAt: isoTime(createdAt), updatedAt: isoTime(updatedAt), fidCurve: fidCurve.map(({ update, fid }) => ({ update, fid })), error: plainDetail(error) };
}

export function plainEvent({ $typeName: _type, $unknown: _unknown, sequence, at, state, error, ...event }: RunEvent): object {
  return { sequence: Number(sequence), at: isoTime(at), ...event, state: stateName(state), error: plainDetail(error) };
}

export function plainCheckpoint({ update, phase, generatorUpdates, createdAt, files, keptFor, specSha256 }: Checkpoint): object {
  return {
    update,
    phase,
    generatorUpdates,
    createdAt: isoTime(createdAt),
    keptFor,
    specSha256,
    files: files.map(({ name, bytes, sha256 }) => ({ name, bytes: Number(bytes), sha256 })),
  };
}

export function plainAssets({ $typeName: _type, $unknown: _unknown, bytes, pushedAt, ...assets }: PushedAssets): object {
  return { ...assets, bytes: Number(bytes), pushedAt: isoTime(pushedAt) };
}

export function plainWorker({ $typeName: _type, $unknown: _unknown, state, joinedAt, lastHeardAt, asideUntil, leases, leasesDone, leasesFailed, straggled, ...worker }: Worker): object {
  return {
    ...worker,
    state: workerStateName(state),
    joinedAt: isoTime(joinedAt),
    lastHeardAt: isoTime(lastHeardAt),
    asideUntil: isoTime(asideUntil),
    leases: leases.map(({ $typeName: _leaseType, $unknown: _leaseUnknown, ...lease }) => lease),
    leasesDone: Number(leasesDone),
    leasesFailed: Number(leasesFailed),
    straggled: Number(straggled),
  };
}

/** PUT_ASIDE -> put-aside */
export const workerStateName = (state: WorkerState): string => (WorkerState[state] ?? 'unknown').toLowerCase().replaceAll('_', '-');

function plainDetail(error: ErrorDetail | undefined): object | undefined {
  return error && { code: error.code, message: error.message, field: error.field, remedy: error.remedy };
}

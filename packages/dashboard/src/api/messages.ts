import type {
  CheckpointFileJson,
  CheckpointJson,
  CheckpointVerdictJson,
  EvaluationJson,
  EvaluationProgressJson,
  FidPointJson,
  GetClusterResponseJson,
  GetRunSeriesResponseJson,
  GetRunSpecResponseJson,
  RunEventJson,
  RunJson,
  SeriesAxisJson,
  SeriesJson,
  SpecProblemJson,
  SubmitRunRequestJson,
  ValidateRunSpecResponseJson,
  WorkerJson,
  WorkerLeaseJson,
} from '@dd2/proto/run-messages';

/** A message as the server writes it: every field is there, but for those that can be unset. */
type Written<T, Optional extends keyof T = never> = Required<Omit<T, Optional>> & Pick<T, Optional>;

/** A floating point number as ProtoJSON has it: what is not finite is text. */
export type JsonNumber = number | 'NaN' | 'Infinity' | '-Infinity';

export type FidPoint = Written<FidPointJson>;
export type Run = Written<Omit<RunJson, 'fidCurve'>, 'lastFid' | 'bestFid' | 'bestUpdate' | 'error' | 'updatesPerSecond' | 'etaSeconds'> & { readonly fidCurve: readonly FidPoint[] };
export type RunState = Run['state'];
export type RunEvent = Written<RunEventJson, 'fid' | 'fidUpdate' | 'updatesPerSecond' | 'etaSeconds' | 'error'>;
export type Evaluation = Written<EvaluationJson, 'accuracy' | 'fidStandardError' | 'error'>;
export type EvaluationProgress = Written<EvaluationProgressJson>;
export type Series = Written<SeriesJson>;
export type SeriesAxis = SeriesAxisJson;
export type RunSeries = Written<GetRunSeriesResponseJson>;
export type RunSpecText = Written<GetRunSpecResponseJson>;
export type SpecProblem = Written<SpecProblemJson>;
export type SpecValidation = Written<Omit<ValidateRunSpecResponseJson, 'problems'>> & { readonly problems: readonly SpecProblem[] };
export type Submission = SubmitRunRequestJson;
export type CheckpointFile = Written<CheckpointFileJson>;
export type Checkpoint = Written<Omit<CheckpointJson, 'files'>> & { readonly files: readonly CheckpointFile[] };
export type CheckpointVerdict = Written<CheckpointVerdictJson, 'error'>;
export type WorkerLease = Written<WorkerLeaseJson>;
export type Worker = Written<Omit<WorkerJson, 'leases'>, 'asideUntil' | 'joinedAt' | 'lastHeardAt'> & { readonly leases: readonly WorkerLease[] };
export type Cluster = Written<GetClusterResponseJson>;

/**
 * What the server half tells, as `openapi.yaml` has it: unknown is null, never 0. Ages and lengths
 * of time are seconds, sizes bytes.
 */
import type { IOutput } from '@jupyterlab/nbformat';

/** The version of the interface that this half speaks. */
export const API = 1;

/** One way in to a host: how many cells it takes at a time, and who waits. */
export interface ILane {
  slots: number;
  running: number | null;
  queued: number | null;
  wait: number | null;
}

/** Who uses a host: a login, never what it runs. */
export interface IHolder {
  login: string;
  since: number | null;
  mem: number | null;
  kind: string;
  place: number | null;
}

export type HostState =
  | 'ready'
  | 'busy'
  | 'draining'
  | 'slow'
  | 'asleep'
  | 'unreachable'
  | 'refused'
  | 'unusable'
  | 'unknown';

export interface IHost {
  name: string;
  transport: string;
  state: HostState;
  reason: string;
  age: number | null;
  chip: string | null;
  simulated: boolean;
  system: string | null;
  python: string | null;
  gpu: number | null;
  gpu_taken: number | null;
  memory: {
    total: number | null;
    free: number | null;
    ours: number | null;
    others: number | null;
    limit: number | null;
  };
  heat: number | null;
  watts: number | null;
  owner_present: boolean | null;
  idle: number | null;
  battery: { on: boolean | null; charge: number | null };
  lanes: { gpu: ILane; cpu: ILane };
  holders: IHolder[];
  labels: Record<string, string>;
  taints: string[];
  gpu_test: boolean | null;
  trust: string;
}

export interface IRun {
  run: string;
  name: string;
  host: string;
  state: string;
  place: number | null;
  wait: number | null;
  age: number | null;
  started: number | null;
  seconds: number | null;
  notebook: string;
  cell: string;
  detached: boolean;
  priority: number;
  after: string[];
  /** When it starts that waits for its time: seconds since 1970. */
  at: number | null;
  reason: string;
  final: boolean;
  moved: { host?: string; run?: string };
  kept: number | null;
  collected: boolean;
  cancelling: boolean;
  mine: boolean;
}

/** How a notebook that the server ran has ended. */
export interface IEnd {
  state: 'ok' | 'error' | 'cancelled' | 'died' | 'lost' | 'interrupted' | 'skipped' | 'missed';
  at: number;
  seconds: number | null;
  output: string;
  message: string;
}

/** A notebook that the server runs at a time, or again and again. Times are seconds since 1970. */
export interface ISchedule {
  id: string;
  path: string;
  output: string | null;
  on: string | null;
  at: number | null;
  cron: string | null;
  parameters: Record<string, unknown>;
  concurrency: 'skip' | 'queue';
  missed: 'skip' | 'once';
  state: 'waiting' | 'running' | 'paused' | 'done';
  next: number | null;
  created: number;
  now: {
    started: number;
    cell: number;
    cells: number;
    host: string;
    run: string | null;
    output: string;
  } | null;
  last: IEnd | null;
  history: IEnd[];
  missed_times: number;
  /** The runs that go before, as they were named; an older server half knows none. */
  after?: string[];
  /** Those of them whose end is not known yet. */
  awaits?: { run: string; host: string }[];
  priority?: number;
}

/** A value that lives on a host alone: it cannot travel, or is too large to. */
export interface IValue {
  name: string;
  type: string;
  size: number | null;
  host: string;
}

/** What lives on hosts for one notebook alone, the largest first. */
export interface IValues {
  values: IValue[];
  /** How many smaller ones are not told. */
  left_out: number;
  /** Hosts of which not all is known, and why. */
  unknown: { host: string; reason: string }[];
}

/** One moment of a host, for a curve. */
export interface IMetric {
  gpu: number | null;
  memory_used: number | null;
  watts: number | null;
  running: number | null;
  queued: number | null;
}

export interface ISnapshot {
  revision: number;
  version: string;
  hosts: IHost[];
  runs: IRun[];
  schedules: ISchedule[];
  problems: string[];
  user: string;
}

/** What a run has shown since it was last told. */
export interface IShown {
  run: string;
  /** Outputs from this index on are replaced by `outputs`. */
  from: number;
  /** Text to be added to the stream output before `from`. */
  append: string;
  outputs: IOutput[];
  final: boolean;
}

/** What the server half says over the stream. */
export type Told =
  | ({ type: 'snapshot' } & ISnapshot)
  | { type: 'hosts'; revision: number; hosts: IHost[]; gone: string[] }
  | { type: 'runs'; revision: number; runs: IRun[]; gone: string[] }
  | { type: 'schedules'; revision: number; schedules: ISchedule[] }
  | { type: 'metrics'; at: number; hosts: Record<string, IMetric> }
  | ({ type: 'outputs' } & IShown)
  | {
      type: 'problem';
      message: string;
      reason: string;
      hint: string;
      /** The run that was to be followed and is not. */
      run?: string;
      /** Whether its host has it no more. */
      gone?: boolean;
    };

/** What the browser says over the stream. */
export type Said =
  | { type: 'follow'; run: string; host?: string }
  | { type: 'unfollow'; run: string }
  | { type: 'visible'; visible: boolean };

/** The MIME type by which a cell's outputs name the run that they belong to. */
export const RUN_MIME = 'application/vnd.jupyter-macgpu.run+json';

import type { IOutput } from '@jupyterlab/nbformat';
import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';

import type { Actions } from './actions';
import type { Choices } from './choices';
import type { Requests } from './request';
import type { IHost, IRun, ISchedule } from './rows';
import type { IHow } from './runcell';
import type { Settings } from './settings';
import type { Visits } from './visits';

/** How the browser stands with the server half. */
export type Connection =
  /** Nobody has asked for anything yet. */
  | 'idle'
  | 'connecting'
  | 'connected'
  /** It stood and was lost; what is shown is old. */
  | 'reconnecting'
  /** The server has no server half. */
  | 'missing'
  /** The server half is of another version. */
  | 'mismatch'
  /** The server half says that it may not be used by who is logged in. */
  | 'forbidden';

/** A run, with the time at which the browser was told of it, in seconds. */
export interface IHeardRun extends IRun {
  heard: number;
}

/** A host, with the time at which the browser was told of it, in seconds. */
export interface IHeardHost extends IHost {
  heard: number;
}

/** What a followed run has shown. */
export interface IFollowed {
  outputs: readonly IOutput[];
  final: boolean;
}

/** Something went wrong that nobody asked for. */
export interface ITrouble {
  message: string;
  reason: string;
  hint: string;
}

/** The fleet as the browser knows it. */
export interface IFleet {
  readonly requests: Requests;
  readonly connection: Connection;
  /** Whether the hosts and runs have been told at least once. */
  readonly isKnown: boolean;
  /** The server half's version; empty until it has said so. */
  readonly version: string;
  /** By name, in the order of the fleet file. */
  readonly hosts: ReadonlyMap<string, IHeardHost>;
  readonly runs: ReadonlyMap<string, IHeardRun>;
  readonly schedules: readonly ISchedule[];
  /** What is wrong with the fleet files. */
  readonly problems: readonly string[];
  /** Whether what is known is kept up to date: somebody looks. */
  readonly isWatched: boolean;

  readonly connectionChanged: ISignal<IFleet, void>;
  readonly hostsChanged: ISignal<IFleet, void>;
  readonly runsChanged: ISignal<IFleet, void>;
  readonly schedulesChanged: ISignal<IFleet, void>;
  /** The curves have grown. */
  readonly sampled: ISignal<IFleet, void>;
  /** A run that was under way has ended. */
  readonly ended: ISignal<IFleet, IHeardRun>;
  readonly troubled: ISignal<IFleet, ITrouble>;

  /** The last shares of the GPU of a host, from 0 to 1, oldest first. */
  historyOf(name: string): readonly (number | null)[];
  /** Connect, and stay connected. */
  connect(): void;
  /** Have everything kept up to date until this is disposed. */
  look(): IDisposable;
  /**
   * Be told what a run shows, from its beginning, until this is disposed. Nothing is told of a run
   * that its host has no more. `host` is where it is, if that is known.
   */
  follow(run: string, told: (shown: IFollowed) => void, host?: string): IDisposable;
  /** Take over a row that a request was answered with. */
  note(run: IRun): void;
  /** Take over a row that a request was answered with. */
  noteHost(host: IHost): void;
  /** A run was forgotten by its host. */
  forget(run: string): void;
}

export const IFleet = new Token<IFleet>(
  'jupyter-macgpu:IFleet',
  'The fleet of Macs: its hosts, its runs, and what can be asked of them.'
);

/** What the plugins share beside the fleet. */
export interface IWork {
  readonly actions: Actions;
  readonly choices: Choices;
  readonly settings: Settings;
  readonly visits: Visits;
  /** Hand the selected cell of the notebook in front to a Mac. */
  readonly runCell: (how: IHow) => Promise<void>;
}

export const IWork = new Token<IWork>(
  'jupyter-macgpu:IWork',
  'What can be done with the fleet, and what was chosen and set.'
);

import type { IOutput } from '@jupyterlab/nbformat';
import { DisposableDelegate } from '@lumino/disposable';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import { History } from './history';
import { Refused } from './request';
import type { Requests } from './request';
import { API } from './rows';
import type { IHost, IMetric, IRun, ISchedule, IShown, ISnapshot, Told } from './rows';
import { grown } from './shown';
import { Stream } from './stream';
import type { Connection, IFleet, IFollowed, IHeardHost, IHeardRun, ITrouble } from './tokens';

/** How many moments a curve has. */
export const MOMENTS = 60;

/** Milliseconds before a run that could not be followed is tried again. */
const AGAIN = 10000;

interface IFollower {
  host: string;
  outputs: IOutput[];
  final: boolean;
  told: Set<(shown: IFollowed) => void>;
}

/** The fleet as the server half tells it. It holds no truth: the hosts do. */
export class FleetModel implements IFleet, IDisposable {
  constructor(
    readonly requests: Requests,
    makeStream: (ready: () => Promise<boolean>) => Stream = ready =>
      new Stream(requests.settings, ready)
  ) {
    this._stream = makeStream(() => this._isReady());
    this._stream.told.connect(this._onTold, this);
    this._stream.openChanged.connect(this._onOpenChanged, this);
    document.addEventListener('visibilitychange', this._onVisibility);
  }

  readonly connectionChanged = new Signal<this, void>(this);
  readonly hostsChanged = new Signal<this, void>(this);
  readonly runsChanged = new Signal<this, void>(this);
  readonly schedulesChanged = new Signal<this, void>(this);
  readonly sampled = new Signal<this, void>(this);
  readonly ended = new Signal<this, IHeardRun>(this);
  readonly troubled = new Signal<this, ITrouble>(this);

  get connection(): Connection {
    return this._connection;
  }
  get isKnown(): boolean {
    return this._isKnown;
  }
  get version(): string {
    return this._version;
  }
  get hosts(): ReadonlyMap<string, IHeardHost> {
    return this._hosts;
  }
  get runs(): ReadonlyMap<string, IHeardRun> {
    return this._runs;
  }
  get schedules(): readonly ISchedule[] {
    return this._schedules;
  }
  get problems(): readonly string[] {
    return this._problems;
  }
  get isWatched(): boolean {
    return this._connection === 'connected' && this._isSeen;
  }
  get isDisposed(): boolean {
    return this._isDisposed;
  }

  historyOf(name: string): readonly (number | null)[] {
    return this._histories.get(name)?.values ?? [];
  }

  connect(): void {
    if (this._connection === 'idle') {
      this._setConnection('connecting');
    }
    this._stream.open();
  }

  look(): IDisposable {
    this._lookers += 1;
    this.connect();
    this._see();
    return new DisposableDelegate(() => {
      this._lookers -= 1;
      this._see();
    });
  }

  follow(run: string, told: (shown: IFollowed) => void, host = ''): IDisposable {
    let follower = this._followers.get(run);
    if (!follower) {
      follower = { host, outputs: [], final: false, told: new Set() };
      this._followers.set(run, follower);
      this._askFor(run);
    } else if (follower.outputs.length || follower.final) {
      told(follower);
    }
    follower.told.add(told);
    this.connect();
    const following = follower;
    return new DisposableDelegate(() => {
      following.told.delete(told);
      if (!following.told.size && this._followers.get(run) === following) {
        this._followers.delete(run);
        this._stream.say({ type: 'unfollow', run });
      }
    });
  }

  note(run: IRun): void {
    this._take([run], []);
  }

  noteHost(host: IHost): void {
    this._takeHosts([host], []);
  }

  forget(run: string): void {
    this._take([], [run]);
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    document.removeEventListener('visibilitychange', this._onVisibility);
    this._stream.dispose();
    Signal.clearData(this);
  }

  /** Ask the server half for its version: only one of ours is listened to. */
  private async _isReady(): Promise<boolean> {
    try {
      const said = await this.requests.ask<{ version: string; api: number }>('GET', 'version');
      this._version = said.version;
      if (said.api !== API) {
        this._setConnection('mismatch');
        return false;
      }
    } catch (error) {
      const status = error instanceof Refused ? error.status : 0;
      if (status === 404) {
        this._setConnection('missing');
      } else if (status === 401 || status === 403) {
        this._setConnection('forbidden');
      } else {
        this._setConnection(this._wasConnected ? 'reconnecting' : 'connecting');
      }
      return false;
    }
    return true;
  }

  private _onOpenChanged(_: Stream, isOpen: boolean): void {
    if (!isOpen) {
      this._setConnection('reconnecting');
      return;
    }
    this._wasConnected = true;
    this._setConnection('connected');
    this._isSeen = this._shouldSee();
    this._stream.say({ type: 'visible', visible: this._isSeen });
    for (const [run, follower] of this._followers) {
      if (!follower.final) {
        this._askFor(run);
      }
    }
  }

  private _onTold(_: Stream, told: Told): void {
    switch (told.type) {
      case 'snapshot':
        this._begin(told);
        break;
      case 'hosts':
        this._takeHosts(told.hosts, told.gone);
        break;
      case 'runs':
        this._take(told.runs, told.gone);
        break;
      case 'schedules':
        this._schedules = told.schedules;
        this.schedulesChanged.emit();
        break;
      case 'metrics':
        this._sample(told.hosts);
        break;
      case 'outputs':
        this._show(told);
        break;
      case 'problem':
        if (told.run) {
          this._notFollowed(told.run, told.gone === true);
        } else {
          this.troubled.emit(told);
        }
        break;
    }
  }

  /** Take over everything; what is not in it is gone. */
  private _begin(told: ISnapshot): void {
    this._version = told.version;
    this._schedules = told.schedules;
    this._problems = told.problems;
    const hosts = new Set(told.hosts.map(host => host.name));
    const runs = new Set(told.runs.map(run => run.run));
    const goneHosts = [...this._hosts.keys()].filter(name => !hosts.has(name));
    const goneRuns = [...this._runs.keys()].filter(run => !runs.has(run));
    this._isKnown = true;
    this._takeHosts(told.hosts, goneHosts);
    this._take(told.runs, goneRuns);
    this.schedulesChanged.emit();
  }

  private _takeHosts(hosts: readonly IHost[], gone: readonly string[]): void {
    const heard = now();
    for (const name of gone) {
      this._hosts.delete(name);
      this._histories.delete(name);
    }
    for (const host of hosts) {
      this._hosts.set(host.name, { ...host, heard });
    }
    this.hostsChanged.emit();
  }

  private _take(runs: readonly IRun[], gone: readonly string[]): void {
    const heard = now();
    for (const run of gone) {
      this._runs.delete(run);
    }
    for (const run of runs) {
      const before = this._runs.get(run.run);
      const after = { ...run, heard };
      this._runs.set(run.run, after);
      if (before && !before.final && run.final) {
        this.ended.emit(after);
      }
    }
    this.runsChanged.emit();
  }

  private _sample(metrics: Record<string, IMetric>): void {
    for (const [name, metric] of Object.entries(metrics)) {
      let history = this._histories.get(name);
      if (!history) {
        history = new History(MOMENTS);
        this._histories.set(name, history);
      }
      history.add(metric.gpu);
    }
    this.sampled.emit();
  }

  private _show(shown: IShown): void {
    const follower = this._followers.get(shown.run);
    if (follower) {
      follower.outputs = grown(follower.outputs, shown);
      follower.final = shown.final;
      follower.told.forEach(told => told(follower));
    }
  }

  /** Follow a run, if it is still wanted. */
  private _askFor(run: string): void {
    const follower = this._followers.get(run);
    if (follower) {
      const host = follower.host ? { host: follower.host } : {};
      this._stream.say({ type: 'follow', run, ...host });
    }
  }

  /** A run cannot be followed: its host has it no more, or cannot be asked now. */
  private _notFollowed(run: string, isGone: boolean): void {
    if (isGone) {
      this._followers.delete(run);
    } else {
      window.setTimeout(() => this._askFor(run), AGAIN);
    }
  }

  /** Let the server half know whether somebody looks: if not, it says nothing. */
  private _see(): void {
    const shouldSee = this._shouldSee();
    if (shouldSee !== this._isSeen) {
      this._isSeen = shouldSee;
      this._stream.say({ type: 'visible', visible: shouldSee });
      this.connectionChanged.emit();
    }
  }

  private _shouldSee(): boolean {
    return this._lookers > 0 && document.visibilityState !== 'hidden';
  }

  private _setConnection(connection: Connection): void {
    if (connection !== this._connection) {
      this._connection = connection;
      this.connectionChanged.emit();
    }
  }

  private _onVisibility = (): void => this._see();

  private _stream: Stream;
  private _connection: Connection = 'idle';
  private _wasConnected = false;
  private _isKnown = false;
  private _version = '';
  private _hosts = new Map<string, IHeardHost>();
  private _runs = new Map<string, IHeardRun>();
  private _schedules: readonly ISchedule[] = [];
  private _problems: readonly string[] = [];
  private _histories = new Map<string, History>();
  private _followers = new Map<string, IFollower>();
  private _lookers = 0;
  private _isSeen = false;
  private _isDisposed = false;
}

/** Return the time, in seconds. */
export function now(): number {
  return Date.now() / 1000;
}

import type { ICodeCellModel } from '@jupyterlab/cells';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import type { IRun } from './rows';
import type { IFleet, IFollowed } from './tokens';
import { isTimed, reasonOf, runWord } from './words';
import { named, write } from './writer';

/** Milliseconds for which what a run shows is gathered before it is written into its cell. */
const GATHER = 250;

/** One run that a cell names: what it shows is written into the cell. */
export class Following implements IDisposable {
  /**
   * @param mayWrite Says whether it is this browser that writes.
   */
  constructor(
    private _fleet: IFleet,
    private _trans: TranslationBundle,
    private _cell: ICodeCellModel,
    readonly run: string,
    private _host: string,
    private _mayWrite: () => boolean
  ) {
    this._following = _fleet.follow(run, shown => this._gather(shown), _host);
    _fleet.runsChanged.connect(this._onRuns, this);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      window.clearTimeout(this._timer);
      this._fleet.runsChanged.disconnect(this._onRuns, this);
      this._following.dispose();
    }
  }

  /** Write what there is, if it is this browser that writes. */
  flush(): void {
    window.clearTimeout(this._timer);
    this._timer = 0;
    const shown = this._shown;
    if (!shown || this._isDisposed || this._cell.isDisposed || !this._mayWrite()) {
      return;
    }
    const row = this._fleet.runs.get(this.run);
    if (shown.final && !row?.final) {
      this._ask();
    }
    const said = this._said(shown, row);
    if (!write(this._cell, this.run, said.run === this.run ? shown.outputs : [], said)) {
      this.dispose();
    }
  }

  /** Return what the cell is to say of the run. One that was moved is another run from then on. */
  private _said(shown: IFollowed, row: IRun | undefined): Parameters<typeof write>[3] {
    const trans = this._trans;
    const host = row?.host ?? this._host;
    if (!row) {
      return { run: this.run, host, final: false, line: '' };
    }
    if (row.moved.run) {
      const to = row.moved.host ?? host;
      const line = trans.__('<run %1 on %2>', row.moved.run.slice(0, 8), to);
      return { run: row.moved.run, host: to, final: false, line };
    }
    const final = shown.final && row.final;
    const said = reasonOf(trans, row);
    const reason = said && (final || isTimed(row)) ? `, ${said}` : '';
    const line = trans.__(
      '<run %1 on %2: %3>',
      this.run.slice(0, 8),
      host,
      `${runWord(trans, row)}${reason}`
    );
    return { run: this.run, host, final, line };
  }

  /** All has been shown, and how the run ended has not been told: ask. */
  private _ask(): void {
    if (!this._isAsked) {
      this._isAsked = true;
      this._fleet.requests
        .ask<IRun>('GET', `runs/${this.run}`)
        .then(row => this._fleet.note(row))
        .catch(() => undefined);
    }
  }

  private _gather(shown: IFollowed): void {
    this._shown = { outputs: shown.outputs, final: shown.final };
    this._timer ||= window.setTimeout(() => this.flush(), GATHER);
  }

  /** How the run stands may have changed. */
  private _onRuns(): void {
    const row = this._fleet.runs.get(this.run);
    const state = row ? `${runWord(this._trans, row)} ${row.moved.run ?? ''}` : '';
    if (state !== this._state) {
      this._state = state;
      const outputs = this._cell.isDisposed ? [] : this._cell.sharedModel.getOutputs();
      const found = named(outputs);
      // Until it is told what the run has shown, what stands there stays.
      this._shown ??= { outputs: found ? outputs.slice(found.at + 1) : [], final: false };
      if (found?.final !== true) {
        this._timer ||= window.setTimeout(() => this.flush(), GATHER);
      }
    }
  }

  private _following: IDisposable;
  private _shown: IFollowed | null = null;
  private _state = '';
  private _timer = 0;
  private _isAsked = false;
  private _isDisposed = false;
}

import type { ICodeCellModel } from '@jupyterlab/cells';
import { isCodeCellModel } from '@jupyterlab/cells';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { IDisposable } from '@lumino/disposable';

import type { IFleet, IFollowed } from './tokens';
import { named, write } from './writer';

/** Milliseconds for which what a run shows is gathered before it is written into its cell. */
const GATHER = 250;
/** Under this name a browser says that it would write outputs. */
const WRITES = 'macgpu';

/**
 * Writes what runs show into the cells that name them: while a notebook is open, and again when it
 * is opened. Of several browsers with one notebook, one writes.
 */
export class Attachments {
  constructor(
    private _fleet: IFleet,
    tracker: INotebookTracker
  ) {
    tracker.widgetAdded.connect(this._onAdded, this);
    tracker.forEach(panel => this._onAdded(tracker, panel));
  }

  private _onAdded(_: INotebookTracker, panel: NotebookPanel): void {
    void panel.context.ready.then(() => {
      if (!panel.isDisposed) {
        const attached = new Attached(this._fleet, panel);
        panel.disposed.connect(() => attached.dispose(), this);
      }
    });
  }
}

/** One run that a cell names. */
class Following implements IDisposable {
  constructor(
    private _fleet: IFleet,
    private _cell: ICodeCellModel,
    readonly run: string,
    private _mayWrite: () => boolean
  ) {
    this._following = this._fleet.follow(run, shown => this._gather(shown));
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      window.clearTimeout(this._timer);
      this._following.dispose();
    }
  }

  /** Write what there is, if it is this browser that writes. */
  flush(): void {
    window.clearTimeout(this._timer);
    this._timer = 0;
    const shown = this._shown;
    if (shown && !this._isDisposed && !this._cell.isDisposed && this._mayWrite()) {
      if (!write(this._cell, this.run, shown.outputs, shown.final)) {
        this.dispose();
      }
    }
  }

  private _gather(shown: IFollowed): void {
    this._shown = { outputs: shown.outputs, final: shown.final };
    this._timer ||= window.setTimeout(() => this.flush(), GATHER);
  }

  private _following: IDisposable;
  private _shown: IFollowed | null = null;
  private _timer = 0;
  private _isDisposed = false;
}

/** One open notebook. */
class Attached implements IDisposable {
  constructor(
    private _fleet: IFleet,
    private _panel: NotebookPanel
  ) {
    const model = _panel.content.model;
    this._awareness?.setLocalStateField(WRITES, true);
    this._awareness?.on('change', this._onOthers);
    model?.contentChanged.connect(this._soon, this);
    this._scan();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    window.clearTimeout(this._timer);
    this._awareness?.off('change', this._onOthers);
    this._followed.forEach(following => following.dispose());
  }

  /** The notebook has changed: a cell may name another run. */
  private _soon(): void {
    this._timer ||= window.setTimeout(() => this._scan(), GATHER);
  }

  private _scan(): void {
    this._timer = 0;
    const model = this._panel.content.model;
    if (this._isDisposed || !model || model.isDisposed) {
      return;
    }
    const left = new Map(this._followed);
    for (const cell of model.cells) {
      const found = isCodeCellModel(cell) ? named(cell.sharedModel.getOutputs()) : null;
      if (!found) {
        continue;
      }
      const before = left.get(cell.id);
      if (before?.run === found.run) {
        left.delete(cell.id);
      } else if (!found.final) {
        before?.dispose();
        left.delete(cell.id);
        this._follow(cell as ICodeCellModel, found.run);
      }
    }
    for (const [id, following] of left) {
      following.dispose();
      this._followed.delete(id);
    }
  }

  private _follow(cell: ICodeCellModel, run: string): void {
    const following = new Following(this._fleet, cell, run, () => this._isWriter());
    this._followed.set(cell.id, following);
  }

  /** Of all browsers with this notebook, the one with the smallest number writes. */
  private _isWriter(): boolean {
    const awareness = this._awareness;
    if (!awareness) {
      return true;
    }
    const writers = [...awareness.getStates()].filter(([, state]) => state?.[WRITES]);
    return writers.every(([client]) => client >= awareness.clientID);
  }

  private _onOthers = (): void => {
    this._followed.forEach(following => following.flush());
  };

  private get _awareness(): any {
    return (this._panel.content.model?.sharedModel as any)?.awareness ?? null;
  }

  private _followed = new Map<string, Following>();
  private _timer = 0;
  private _isDisposed = false;
}

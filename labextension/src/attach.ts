import type { ICodeCellModel } from '@jupyterlab/cells';
import { isCodeCellModel } from '@jupyterlab/cells';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import { Following } from './following';
import type { IFleet } from './tokens';
import { named } from './writer';

/** Milliseconds for which a notebook's changes are gathered before it is read. */
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
    private _trans: TranslationBundle,
    tracker: INotebookTracker
  ) {
    tracker.widgetAdded.connect(this._onAdded, this);
    tracker.forEach(panel => this._onAdded(tracker, panel));
  }

  private _onAdded(_: INotebookTracker, panel: NotebookPanel): void {
    void panel.context.ready.then(() => {
      if (!panel.isDisposed) {
        const attached = new Attached(this._fleet, this._trans, panel);
        panel.disposed.connect(() => attached.dispose(), this);
      }
    });
  }
}

/** One open notebook. */
class Attached implements IDisposable {
  constructor(
    private _fleet: IFleet,
    private _trans: TranslationBundle,
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
        if (found.isTwice) {
          before.flush();
        }
      } else if (!found.final) {
        before?.dispose();
        left.delete(cell.id);
        this._follow(cell as ICodeCellModel, found.run, found.host);
      }
    }
    for (const [id, following] of left) {
      following.dispose();
      this._followed.delete(id);
    }
  }

  private _follow(cell: ICodeCellModel, run: string, host: string): void {
    const mayWrite = (): boolean => this._isWriter();
    this._followed.set(
      cell.id,
      new Following(this._fleet, this._trans, cell, run, host, mayWrite)
    );
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

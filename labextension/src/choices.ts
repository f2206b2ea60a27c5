import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';

/** What stands in a notebook's metadata if one was chosen for it. */
const KEY = 'macgpu';
/** The choice that leaves it to the fleet. */
export const AUTO = 'auto';
/**
 * What a host or a selector may consist of. A notebook may come from anywhere, and IPython computes
 * what is in braces or behind a dollar sign in a magic's line.
 */
const PLACE = /^[A-Za-z0-9][\w.,=!<>()/: -]*$/;

/** Which Mac each open notebook has chosen. Kept in the notebook, and told to its kernel. */
export class Choices {
  constructor(private _tracker: INotebookTracker | null) {
    _tracker?.currentChanged.connect(this._onCurrent, this);
    _tracker?.widgetAdded.connect(this._onAdded, this);
    _tracker?.forEach(panel => this._onAdded(_tracker, panel));
  }

  /** What a notebook has chosen has changed, or another notebook is in front. */
  get changed(): Signal<this, void> {
    return this._changed;
  }

  /** A kernel did not take the choice: why. */
  get failed(): Signal<this, string> {
    return this._failed;
  }

  /** The notebook in front. */
  get current(): NotebookPanel | null {
    return this._tracker?.currentWidget ?? null;
  }

  /** Return what a notebook has chosen: a host, a selector, or `AUTO`. */
  on(panel: NotebookPanel | null): string {
    const said = panel?.content.model?.getMetadata(KEY) as { on?: unknown } | undefined;
    return typeof said?.on === 'string' && PLACE.test(said.on) ? said.on : AUTO;
  }

  /** Choose: written into the notebook, and told to its kernel. */
  choose(panel: NotebookPanel, on: string): void {
    const model = panel.content.model;
    const before = model?.getMetadata(KEY);
    model?.setMetadata(KEY, { ...before, on });
    void this._tell(panel, on);
  }

  private _onAdded(_: INotebookTracker | null, panel: NotebookPanel): void {
    panel.sessionContext.statusChanged.connect(this._onStatus, this);
    void panel.context.ready.then(() => {
      if (!panel.isDisposed) {
        panel.content.model?.metadataChanged.connect(this._onMetadata, this);
        this._changed.emit();
      }
    });
    void panel.sessionContext.ready.then(() => this._restore(panel));
  }

  private _onCurrent(): void {
    this._changed.emit();
  }

  /** Another browser or another part of this one has chosen. */
  private _onMetadata(_: unknown, change: { key: string }): void {
    if (change.key === KEY) {
      this._changed.emit();
    }
  }

  /** A kernel that begins anew knows nothing of the choice. */
  private _onStatus(context: NotebookPanel['sessionContext'], status: Kernel.Status): void {
    if (status === 'starting' || status === 'restarting' || status === 'autorestarting') {
      const panel = this._tracker?.find(each => each.sessionContext === context);
      const kernel = context.session?.kernel;
      if (panel && kernel) {
        this._told.delete(kernel);
        void kernel.info.then(() => this._restore(panel));
      }
    }
  }

  private _restore(panel: NotebookPanel): void {
    const on = this.on(panel);
    const kernel = panel.isDisposed ? null : panel.sessionContext.session?.kernel;
    if (on !== AUTO && kernel && !this._told.has(kernel)) {
      void this._tell(panel, on);
    }
  }

  private async _tell(panel: NotebookPanel, on: string): Promise<void> {
    const kernel = panel.sessionContext.session?.kernel;
    if (!kernel || !PLACE.test(on)) {
      return;
    }
    this._told.add(kernel);
    const problem = await say(kernel, `get_ipython().run_line_magic('macgpu', 'use ${on}')`);
    if (problem) {
      this._failed.emit(problem);
    }
  }

  private _changed = new Signal<this, void>(this);
  private _failed = new Signal<this, string>(this);
  private _told = new WeakSet<Kernel.IKernelConnection>();
}

/** Have a kernel do something of ours, unseen; return what went wrong, if anything did. */
export async function say(kernel: Kernel.IKernelConnection, code: string): Promise<string> {
  const load = "get_ipython().extension_manager.load_extension('jupyter_macgpu')";
  const reply = await kernel.requestExecute({
    code: `${load}\n${code}`,
    silent: true,
    store_history: false,
    stop_on_error: false
  }).done;
  return reply.content.status === 'error' ? reply.content.evalue : '';
}

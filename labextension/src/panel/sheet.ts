import { DisposableDelegate } from '@lumino/disposable';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';

/**
 * Lies over the sections of the panel while there is something on it, as high as that is. The sections
 * keep their sizes, those too that a layout is saved with.
 */
export class Sheet extends Widget {
  constructor() {
    super();
    this.addClass('macgpu-Sheet');
    this.hide();
  }

  /** It was opened, or closed. */
  get openChanged(): ISignal<this, boolean> {
    return this._openChanged;
  }

  /**
   * Show it until what is returned is disposed. The focus goes to its first field, unless somebody
   * works elsewhere, and back to where it came from if it is still on the sheet then.
   */
  open(): IDisposable {
    const from = document.activeElement;
    this.show();
    this._openChanged.emit(true);
    if (!from || from === document.body || this.parent?.node.contains(from)) {
      this.node.querySelector<HTMLElement>('select, input, button')?.focus();
    }
    return new DisposableDelegate(() => {
      const isHere = this.node.contains(document.activeElement);
      this.hide();
      this._openChanged.emit(false);
      if (isHere && from instanceof HTMLElement) {
        from.focus();
      }
    });
  }

  private _openChanged = new Signal<this, boolean>(this);
}

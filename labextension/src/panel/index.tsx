import { SidePanel } from '@jupyterlab/ui-components';
import type { ITranslator } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import { SplitPanel } from '@lumino/widgets';
import type { PanelLayout, Widget } from '@lumino/widgets';

import { fleetIcon } from '../icons';
import type { IFleet } from '../tokens';
import type { Sheet } from './sheet';

/** How the sections share the panel's height at first. */
const SIZES = [2, 5, 4, 2];

/** The panel in the sidebar. While it is seen, what it shows is kept up to date. */
export class FleetPanel extends SidePanel {
  constructor(
    private _fleet: IFleet,
    translator: ITranslator,
    sections: readonly Widget[],
    sheet: Sheet
  ) {
    super({ translator });
    this.id = 'macgpu-panel';
    this.addClass('macgpu-Panel');
    this.title.icon = fleetIcon;
    this.title.caption = translator.load('jupyter_macgpu').__('Macs and their runs');
    sections.forEach(section => this.addWidget(section));
    (this.layout as PanelLayout).addWidget(sheet);
    // What lies beneath is neither reached by keys nor read out.
    sheet.openChanged.connect((_, isOpen) => this.content.node.toggleAttribute('inert', isOpen));
  }

  dispose(): void {
    this._looking?.dispose();
    super.dispose();
  }

  protected onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._look();
  }

  protected onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this._look();
  }

  protected onBeforeHide(message: Message): void {
    super.onBeforeHide(message);
    this._rest();
  }

  protected onBeforeDetach(message: Message): void {
    super.onBeforeDetach(message);
    this._rest();
  }

  private _look(): void {
    if (this.isVisible) {
      this._looking ??= this._fleet.look();
      if (!this._isSized && this.content instanceof SplitPanel) {
        this._isSized = true;
        this.content.setRelativeSizes([...SIZES]);
      }
    }
  }

  private _rest(): void {
    this._looking?.dispose();
    this._looking = null;
  }

  private _isSized = false;
  private _looking: IDisposable | null = null;
}

import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal } from '@lumino/signaling';

/** What can be set, as `schema/plugin.json` describes it. */
export class Settings {
  showStatusItem = true;
  notifyWhenDone = true;
  confirmCancel = true;

  /** Something was set. */
  readonly changed = new Signal<this, void>(this);

  /** Take over what is set, now and from now on. */
  follow(loaded: ISettingRegistry.ISettings): void {
    loaded.changed.connect(this._take, this);
    this._take(loaded);
  }

  private _take(loaded: ISettingRegistry.ISettings): void {
    for (const name of ['showStatusItem', 'notifyWhenDone', 'confirmCancel'] as const) {
      this[name] = loaded.get(name).composite !== false;
    }
    this.changed.emit();
  }
}

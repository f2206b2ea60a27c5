import { HTMLSelect, ReactWidget } from '@jupyterlab/ui-components';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import * as React from 'react';

import { AUTO } from './choices';
import type { Choices } from './choices';
import type { IFleet } from './tokens';
import { useChanges } from './panel/changes';
import { hostWord, takesRuns } from './words';

/** The notebook toolbar's choice of a Mac. The fleet is asked once somebody opens it. */
export class DevicePicker extends ReactWidget {
  constructor(
    private _fleet: IFleet,
    private _choices: Choices,
    private _panel: NotebookPanel,
    private _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-Notebook-toolbarCellType');
    this.addClass('macgpu-Picker');
  }

  dispose(): void {
    this._looking?.dispose();
    super.dispose();
  }

  protected render(): React.ReactElement {
    return (
      <Picker
        fleet={this._fleet}
        trans={this._trans}
        choices={this._choices}
        panel={this._panel}
        look={isOpen => this._look(isOpen)}
      />
    );
  }

  private _look(isOpen: boolean): void {
    if (isOpen) {
      this._looking ??= this._fleet.look();
    } else {
      this._looking?.dispose();
      this._looking = null;
    }
  }

  private _looking: IDisposable | null = null;
}

export interface IPicker {
  fleet: IFleet;
  trans: TranslationBundle;
  choices: Choices;
  panel: NotebookPanel;
  /** Somebody has turned to it, or away. */
  look: (isOpen: boolean) => void;
}

/** The choice itself; used in the toolbar and in the panel. */
export function Picker(props: IPicker): React.ReactElement {
  const { fleet, trans, choices, panel } = props;
  useChanges(fleet.hostsChanged, choices.changed);
  const on = choices.on(panel);
  const hosts = [...fleet.hosts.values()];
  const isListed = on === AUTO || hosts.some(host => host.name === on);
  return (
    <HTMLSelect
      className="macgpu-Picker-select"
      value={on}
      aria-label={trans.__('Where the cells of this notebook run')}
      title={trans.__('Where the cells of this notebook run')}
      onFocus={() => props.look(true)}
      onBlur={() => props.look(false)}
      onMouseEnter={() => props.look(true)}
      onChange={event => choices.choose(panel, event.target.value)}
    >
      <option value={AUTO}>{trans.__('Any Mac')}</option>
      {!isListed && <option value={on}>{on}</option>}
      {hosts.map(host => (
        <option key={host.name} value={host.name} disabled={!takesRuns(host) && host.name !== on}>
          {takesRuns(host) ? host.name : `${host.name} (${host.reason || hostWord(trans, host)})`}
        </option>
      ))}
    </HTMLSelect>
  );
}

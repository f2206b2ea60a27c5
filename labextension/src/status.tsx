import { ReactWidget } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { useChanges } from './panel/changes';
import type { IFleet } from './tokens';
import { isWaiting, takesRuns } from './words';

/** The status bar's item: what is known now, and a way to the panel. */
export class StatusItem extends ReactWidget {
  constructor(
    private _fleet: IFleet,
    private _trans: TranslationBundle,
    private _show: () => void
  ) {
    super();
    this.addClass('macgpu-Status');
  }

  protected render(): React.ReactElement {
    return <Status fleet={this._fleet} trans={this._trans} show={this._show} />;
  }
}

/** What it says; figures only while they are kept up to date. */
export function Status(props: {
  fleet: IFleet;
  trans: TranslationBundle;
  show: () => void;
}): React.ReactElement {
  const { fleet, trans } = props;
  useChanges(fleet.hostsChanged, fleet.runsChanged, fleet.connectionChanged);
  return (
    <button
      className="macgpu-Status-button"
      onClick={props.show}
      title={trans.__('Show Macs and their runs')}
    >
      {summary(trans, fleet)}
    </button>
  );
}

/** Return what is known of the fleet, in a few words. */
export function summary(trans: TranslationBundle, fleet: IFleet): string {
  if (fleet.connection === 'reconnecting') {
    return trans.__('Macs: not connected');
  }
  if (!fleet.isWatched || !fleet.isKnown) {
    return trans.__('Macs');
  }
  const hosts = [...fleet.hosts.values()].filter(takesRuns).length;
  const live = [...fleet.runs.values()].filter(run => !run.final);
  const waiting = live.filter(isWaiting).length;
  const said = [trans._n('%1 Mac', '%1 Macs', hosts)];
  if (live.length > waiting) {
    said.push(trans.__('%1 running', live.length - waiting));
  }
  if (waiting) {
    said.push(trans.__('%1 waiting', waiting));
  }
  return said.join(' · ');
}

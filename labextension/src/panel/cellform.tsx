import { CodeCell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { moment } from '../runcell';
import type { IHow } from '../runcell';
import type { IFleet, IHeardRun } from '../tokens';
import { first } from '../visits';
import { takesRuns } from '../words';
import { After, named, Priority } from './after';
import { useChanges } from './changes';

/** Asks when and where the selected cell is to run. */
export function CellForm(props: {
  fleet: IFleet;
  trans: TranslationBundle;
  panel: NotebookPanel;
  firstLine: (run: IHeardRun) => string;
  runCell: (how: IHow) => Promise<void>;
  close: () => void;
}): React.ReactElement {
  const { fleet, trans, panel } = props;
  const [when, setWhen] = React.useState('now');
  const [after, setAfter] = React.useState({ run: '', isAny: false });
  const [at, setAt] = React.useState('');
  const [priority, setPriority] = React.useState('0');
  const [on, setOn] = React.useState('');
  useChanges(panel.content.activeCellChanged);
  const cell = panel.content.activeCell;
  const isCode = cell instanceof CodeCell;
  const send = (): void => {
    const before = when === 'after' ? { after: named(after.run, after.isAny) } : {};
    const time = when === 'at' ? { at: moment(at) } : {};
    void props.runCell({ ...before, ...time, on, priority: Number(priority) || 0 });
    props.close();
  };
  return (
    <form
      className="macgpu-Form"
      aria-label={trans.__('Run the selected cell')}
      onSubmit={event => {
        event.preventDefault();
        send();
      }}
    >
      <code className="macgpu-Run-line">
        {isCode ? first(cell.model.sharedModel.getSource()) || trans.__('an empty cell') : '–'}
      </code>
      <label>
        {trans.__('When')}
        <select
          className="macgpu-Input"
          value={when}
          onChange={event => setWhen(event.target.value)}
        >
          <option value="now">{trans.__('now')}</option>
          <option value="after">{trans.__('after a run')}</option>
          <option value="at">{trans.__('at a time')}</option>
        </select>
      </label>
      {when === 'after' && <After {...props} after={after} change={setAfter} />}
      {when === 'at' && <At trans={trans} at={at} change={setAt} />}
      <label>
        {trans.__('On')}
        <select className="macgpu-Input" value={on} onChange={event => setOn(event.target.value)}>
          <option value="">{trans.__('as the notebook says')}</option>
          {[...fleet.hosts.values()].filter(takesRuns).map(host => (
            <option key={host.name} value={host.name}>
              {host.name}
            </option>
          ))}
        </select>
      </label>
      <Priority trans={trans} value={priority} change={setPriority} />
      <div className="macgpu-Buttons">
        <button className="macgpu-Button" type="submit" disabled={!isCode}>
          {trans.__('Run')}
        </button>
        <button className="macgpu-Button" type="button" onClick={props.close}>
          {trans.__('Close')}
        </button>
      </div>
    </form>
  );
}

/** Asks at which time a cell is to start, and says what that means. */
function At(props: {
  trans: TranslationBundle;
  at: string;
  change: (at: string) => void;
}): React.ReactElement {
  const { trans } = props;
  return (
    <>
      <label>
        {trans.__('At')}
        <input
          className="macgpu-Input"
          type="datetime-local"
          required
          value={props.at}
          onChange={event => props.change(event.target.value)}
        />
      </label>
      <p className="macgpu-Card-about">
        {trans.__(
          'The cell and what it reads are sent now, so the notebook may be closed. The Mac starts it then, or at the next contact if it is asleep or off.'
        )}
      </p>
    </>
  );
}
